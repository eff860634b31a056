"""RequestContext: what handlers learn about the asker."""

from pykbroker.request import ANONYMOUS, RawResponse, RequestContext


def test_defaults_are_those_of_a_plaintext_connection() -> None:
    ctx = RequestContext(3, 12, 7, "me", client_host="10.0.0.1", client_port=5)
    assert (ctx.listener_name, ctx.security_protocol, ctx.principal) == ("PLAINTEXT", "PLAINTEXT", ANONYMOUS)
    assert repr(ctx) == "<RequestContext api 3 v12 #7 from me@10.0.0.1:5>"


def test_raw_response_counts_later() -> None:
    assert RawResponse([b"ab"]).size == -1
