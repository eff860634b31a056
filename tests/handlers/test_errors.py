"""Where an error goes when the handler of its API has no place of its own for it."""

from typing import Any

import pytest

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.handlers.errors import LONGEST_MESSAGE, error_response, shorten_messages
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_topics import CreatableTopicResult, CreateTopicsResponse
from pykbroker.protocol.messages.describe_cluster import DescribeClusterResponse
from pykbroker.protocol.messages.heartbeat import HeartbeatResponse
from pykbroker.protocol.messages.metadata import MetadataResponse
from pykbroker.protocol.messages.offset_for_leader_epoch import OffsetForLeaderEpochResponse

ERROR = KafkaError(ErrorCode.INVALID_REQUEST, "no")


def test_code_and_message() -> None:
    response: Any = error_response(DescribeClusterResponse, None, ERROR, 2)
    assert (response.error_code, response.error_message) == (ErrorCode.INVALID_REQUEST, "no")


@pytest.mark.parametrize("response_class", [HeartbeatResponse, MetadataResponse])
def test_a_code_alone(response_class: type) -> None:
    response: Any = error_response(response_class, None, ERROR, 4)
    assert response.error_code == ErrorCode.INVALID_REQUEST


def test_nothing_that_looks_like_success() -> None:
    with pytest.raises(MalformedFrame, match="cannot say INVALID_REQUEST: no"):
        error_response(OffsetForLeaderEpochResponse, None, ERROR, 4)


@pytest.mark.parametrize("character", ["a", "\U0001f600"])
@pytest.mark.parametrize("version", [2, 7])
def test_messages_that_quote_too_much_are_cut(character: str, version: int) -> None:
    """Found by the fuzzer: an invalid topic name of 32,767 bytes, with a few words around it, fits into no string."""
    quoted = f"'{character * 32_767}' is invalid"
    rows = [CreatableTopicResult(name="a", error_message=quoted), CreatableTopicResult(name="b", error_message="short")]
    response = CreateTopicsResponse(topics=rows)
    assert shorten_messages(response)
    first, second = CreateTopicsResponse.decode(response.encode(version), version)[0].topics
    assert first.error_message == quoted[: LONGEST_MESSAGE - 1] + "…"
    assert second.error_message == "short"


def test_nothing_to_cut() -> None:
    assert not shorten_messages(CreateTopicsResponse(topics=[CreatableTopicResult(name="a", error_message=None)]))
