"""Where an error goes when the handler of its API has no place of its own for it."""

from typing import Any

import pytest

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.handlers.errors import error_response
from pykbroker.protocol.error_codes import ErrorCode
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
