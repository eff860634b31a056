"""The frames of the bench are what their names say."""

import socket
from collections.abc import Iterator

import pytest

from pykbroker.protocol.headers import decode_request_header
from pykbroker.protocol.messages.describe_configs import (
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
)
from pykbroker.protocol.messages.fetch import FetchRequest
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from pykbroker.protocol.messages.produce import ProduceRequest
from pykbroker.record.batch import parse_header
from tools.bench import wire
from tools.bench.loads import RECORDS_PER_BATCH
from tools.bench.wire import batch_of, fetch_frame, produce_frame

MAX_MESSAGE_BYTES = 1_048_588  # Kafka's default


def test_a_large_batch_is_as_large_as_kafka_takes() -> None:
    batch = batch_of(RECORDS_PER_BATCH)
    assert MAX_MESSAGE_BYTES * 0.95 < len(batch) <= MAX_MESSAGE_BYTES
    assert parse_header(batch, 0).record_count == RECORDS_PER_BATCH


def test_produce() -> None:
    batch = batch_of(1, 10)
    frame = produce_frame("t", 3, batch)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    header = decode_request_header(memoryview(frame)[4:])
    request, _ = ProduceRequest.decode(memoryview(frame)[4:], header.api_version, header.body_position)
    assert request.acks == 1
    (row,) = request.topic_data[0].partition_data
    assert row.index == 3
    assert row.records == batch


def test_fetch() -> None:
    frame = fetch_frame("t", 3, 1001, 5000)
    header = decode_request_header(memoryview(frame)[4:])
    request, _ = FetchRequest.decode(memoryview(frame)[4:], header.api_version, header.body_position)
    (row,) = request.topics[0].partitions
    assert (row.partition, row.fetch_offset, row.partition_max_bytes) == (3, 1001, 5000)
    assert request.max_bytes == 5000


def test_configs() -> None:
    frame = memoryview(wire.alter_config_frame(32, "g", "consumer.assignment.interval.ms", "0"))[4:]
    header = decode_request_header(frame)
    request, _ = IncrementalAlterConfigsRequest.decode(frame, header.api_version, header.body_position)
    (resource,) = request.resources
    assert (resource.resource_type, resource.resource_name) == (32, "g")
    assert [(row.name, row.config_operation, row.value) for row in resource.configs] == [
        ("consumer.assignment.interval.ms", 0, "0")
    ]
    altered = bytearray(5)
    IncrementalAlterConfigsResponse(responses=[AlterConfigsResourceResponse(error_code=40)]).encode_into(
        altered, wire.ALTER_CONFIGS_VERSION
    )
    assert wire.alter_config_error(altered) == 40
    described = bytearray(5)
    row = DescribeConfigsResourceResult(name="consumer.assignment.interval.ms", value="0")
    DescribeConfigsResponse(results=[DescribeConfigsResult(configs=[row])]).encode_into(
        described, wire.DESCRIBE_CONFIGS_VERSION
    )
    assert wire.config_value(described) == "0"


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_an_answer_alone_is_received_whole(peer: socket.socket) -> None:
    answer = bytes(range(200)) * 10
    with wire.Wire(peer.getsockname()) as client:
        broker, _ = peer.accept()
        with broker:
            broker.sendall(len(answer).to_bytes(4, "big") + answer)
            assert bytes(client.receive_only()) == answer
            broker.sendall(b"\0\0\0\1x")
            assert bytes(client.receive_only()) == b"x"
        with pytest.raises(ConnectionError):
            client.receive_only()
