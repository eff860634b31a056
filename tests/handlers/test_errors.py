"""Where an error goes when a handler does not say, and answers that quote more than fits."""

import pytest

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.handlers.errors import LONGEST_MESSAGE, error_response, shorten_messages
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_topics import CreatableTopicResult, CreateTopicsResponse
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorResponse
from pykbroker.protocol.messages.list_offsets import ListOffsetsResponse

ERROR = KafkaError(ErrorCode.INVALID_REQUEST, "no")


def test_the_error_is_at_the_top() -> None:
    response = error_response(FindCoordinatorResponse, None, ERROR, 3)
    assert isinstance(response, FindCoordinatorResponse)
    assert (response.error_code, response.error_message) == (ErrorCode.INVALID_REQUEST, "no")


def test_an_answer_without_a_place_for_it_is_none() -> None:
    with pytest.raises(MalformedFrame, match="cannot say INVALID_REQUEST"):
        error_response(ListOffsetsResponse, None, ERROR, 3)


@pytest.mark.parametrize("character", ["a", "\U0001f600"])
@pytest.mark.parametrize("version", [2, 7])
def test_messages_that_quote_too_much_are_cut(character: str, version: int) -> None:
    """An invalid topic name of 32,767 bytes, quoted with a few words around it, is longer than a string may be."""
    quoted = f"'{character * 32_767}' is invalid"
    rows = [CreatableTopicResult(name="a", error_message=quoted), CreatableTopicResult(name="b", error_message="short")]
    response = CreateTopicsResponse(topics=rows)
    assert shorten_messages(response)
    decoded, _ = CreateTopicsResponse.decode(response.encode(version), version)
    first, second = decoded.topics
    assert first.error_message == quoted[: LONGEST_MESSAGE - 1] + "…"
    assert second.error_message == "short"


def test_nothing_to_cut() -> None:
    assert not shorten_messages(CreateTopicsResponse(topics=[CreatableTopicResult(name="a", error_message=None)]))
