"""Who knocks at the wrong door is told apart."""

import pytest

from pykbroker.network.guess_protocol import guess_protocol


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"GET / HT", "HTTP"),
        (b"POST /x ", "HTTP"),
        (b"PRI * HT", "HTTP/2"),
        (b"SSH-2.0-", "SSH"),
        (bytes.fromhex("1603010200010001"), "TLS"),
        (bytes.fromhex("15030300020230"), "TLS"),
        (bytes.fromhex("0000001000120000"), None),
        (b"\x16", None),
        (b"", None),
    ],
)
def test_guess(start: bytes, expected: str | None) -> None:
    guessed = guess_protocol(start)
    assert guessed is None if expected is None else guessed is not None and guessed.startswith(expected)
