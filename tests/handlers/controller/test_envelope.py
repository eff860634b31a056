"""Forwarded requests: answered as if they had come directly, and every way in which an envelope may be wrong."""

from pathlib import Path
from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.create_acls import CreateAclsRequest
from pykbroker.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pykbroker.protocol.messages.describe_quorum import DescribeQuorumRequest
from pykbroker.protocol.messages.envelope import EnvelopeRequest, EnvelopeResponse
from pykbroker.protocol.messages.metadata import MetadataRequest
from pykbroker.protocol.messages.unregister_broker import UnregisterBrokerRequest
from tests.controller.nodes import ControllerNode
from tests.controller.wire import Wire, frame, response

ANONYMOUS = bytes.fromhex("0000 05") + b"User" + bytes.fromhex("0a") + b"ANONYMOUS" + bytes.fromhex("0000")
LOCALHOST = bytes((127, 0, 0, 1))


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    node = ControllerNode(tmp_path).start()
    node.bring_up(1)
    return Wire(node)


def envelope(inner: bytes, principal: bytes | None = ANONYMOUS, address: bytes = LOCALHOST) -> EnvelopeRequest:
    return EnvelopeRequest(request_data=inner, request_principal=principal, client_host_address=address)


def forwarded(wire: Wire, request: Message, version: int, **fields: Any) -> Any:
    """What the client gets."""
    answer: EnvelopeResponse = wire.ask(envelope(bytes(frame(request, version)), **fields), 0)
    assert answer.error_code == 0
    assert answer.response_data is not None
    return response(request.API_KEY, version, bytes(4) + bytes(answer.response_data))


def refused(wire: Wire, inner: bytes, **fields: Any) -> int:
    answer: EnvelopeResponse = wire.ask(envelope(inner, **fields), 0)
    assert answer.response_data is None
    return answer.error_code


@pytest.mark.parametrize("address", [LOCALHOST, bytes(15) + b"\1"])
def test_what_is_inside_is_executed(wire: Wire, address: bytes) -> None:
    topic = CreatableTopic(name="t", num_partitions=2, replication_factor=1)
    made = forwarded(wire, CreateTopicsRequest(topics=[topic], timeout_ms=1000), 7, address=address)
    assert [(row.name, row.error_code, row.num_partitions) for row in made.topics] == [("t", 0, 2)]
    assert wire.node.image.topics.get("t") is not None


def test_an_error_is_that_of_the_api_inside(wire: Wire) -> None:
    answer = forwarded(wire, UnregisterBrokerRequest(broker_id=9), 0)
    assert answer.error_code == ErrorCode.BROKER_ID_NOT_REGISTERED


def test_every_version_that_a_client_may_speak(wire: Wire) -> None:
    for version in range(2, 8):
        topic = CreatableTopic(name=f"v{version}", num_partitions=1, replication_factor=1)
        made = forwarded(wire, CreateTopicsRequest(topics=[topic], timeout_ms=1000), version)
        assert made.topics[0].error_code == 0


@pytest.mark.parametrize(
    "principal",
    [None, b"", ANONYMOUS[:9], bytes.fromhex("0001") + ANONYMOUS[2:], bytes.fromhex("ffff") + ANONYMOUS[2:]],
)
def test_a_principal_that_cannot_be_read(wire: Wire, principal: bytes | None) -> None:
    inner = bytes(frame(DescribeQuorumRequest(), 2))
    assert refused(wire, inner, principal=principal) == ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE


@pytest.mark.parametrize("length", [0, 3, 5, 17])
def test_an_address_of_no_length_that_there_is(wire: Wire, length: int) -> None:
    inner = bytes(frame(DescribeQuorumRequest(), 2))
    assert refused(wire, inner, address=bytes(length)) == ErrorCode.INVALID_REQUEST


def test_what_nobody_forwards(wire: Wire) -> None:
    assert refused(wire, bytes(frame(MetadataRequest(), 12))) == ErrorCode.INVALID_REQUEST
    assert refused(wire, bytes(frame(envelope(b""), 0))) == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    "inner",
    [
        b"",
        bytes(5),
        b"\x7f\xff" + bytes(frame(DescribeQuorumRequest(), 2))[2:],
        bytes(frame(DescribeQuorumRequest(), 2))[:-1],
        b"\x00\x37\x00\x63" + bytes(frame(DescribeQuorumRequest(), 2))[4:],
        bytes(frame(CreateAclsRequest(), 3)),
    ],
    ids=["empty", "short", "unknown API", "cut off", "unknown version", "not served yet"],
)
def test_what_cannot_be_read_lets_the_client_ask_for_versions_anew(wire: Wire, inner: bytes) -> None:
    assert refused(wire, inner) == ErrorCode.UNSUPPORTED_VERSION
