"""The frames of the bench are what their names say."""

from pykbroker.protocol.headers import decode_request_header
from pykbroker.protocol.messages.fetch import FetchRequest
from pykbroker.protocol.messages.produce import ProduceRequest
from pykbroker.record.batch import parse_header
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
