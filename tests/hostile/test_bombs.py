"""Small batches that decompress to a gigabyte, and batches that lie: Kafka's error, no memory, nothing stored."""

import struct
from collections.abc import Callable

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from pykbroker.record.batch import compute_crc
from pykbroker.record.builder import build_batch
from pykbroker.record.compression import DEFAULT_LIMIT, Codec
from tests.hostile.broker_process import MIB, WatchedBroker
from tests.record.bombs import BOMBS

TIMESTAMP = 1_700_000_000_000
PLAIN = bytes(build_batch([(b"key", b"value", [], TIMESTAMP)] * 3))
KINDS = [(codec, build) for codec, builds in BOMBS.items() for build in builds]
# What the library holds of a block comes on top: see tests/record/test_decompression_bombs.py.
MOST = 2 * DEFAULT_LIMIT + 32 * MIB
_LENGTH, _CRC, _ATTRIBUTES, _COUNT = 8, 17, 21, 57


@pytest.fixture(scope="module", params=["producer", "zstd"])
def topic(shared_broker: WatchedBroker, request: pytest.FixtureRequest) -> str:
    """Kept as it comes, or compressed anew."""
    name = f"bombed-{request.param}"
    shared_broker.create(name, compression_type=request.param, max_message_bytes=str(64 * MIB))
    return name


def produce(broker: WatchedBroker, topic: str, records: bytes) -> int:
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=records)])
    response = broker.ask(ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]), 9)
    return int(response.responses[0].partition_responses[0].error_code)


def sealed(batch: bytearray) -> bytes:
    """With length and checksum as they should be."""
    batch[_LENGTH : _LENGTH + 4] = struct.pack(">i", len(batch) - 12)
    batch[_CRC : _CRC + 4] = compute_crc(batch, 0, len(batch)).to_bytes(4, "big")
    return bytes(batch)


@pytest.mark.parametrize(("codec", "build"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_decompression_bombs(codec: Codec, build: Callable[[], bytes], topic: str, broker: WatchedBroker) -> None:
    """One record of a lying snappy header brings OOM: CVE-2023-34455; max.decompressed.message.bytes in
    apache/kafka#23429; lying sizes: influxdata/rskafka#92, bluetape4k#306; many large batches: redpanda#10235."""
    batch = bytearray(PLAIN[:61]) + build()
    batch[_ATTRIBUTES : _ATTRIBUTES + 2] = struct.pack(">h", codec)
    broker.allowance = MOST
    code = produce(broker, topic, sealed(batch))
    # Kafka 4.3.1 itself decompresses all of it; where it would give up with OutOfMemoryError, we refuse.
    assert code in (ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.INVALID_RECORD, ErrorCode.MESSAGE_TOO_LARGE)
    assert broker.log() == []


@pytest.fixture(scope="module")
def lied_to(shared_broker: WatchedBroker) -> str:
    shared_broker.create("lied-to")
    return "lied-to"


def altered(position: int, value: bytes, seal: bool = True) -> bytes:
    batch = bytearray(PLAIN)
    batch[position : position + len(value)] = value
    if not seal:
        return bytes(batch)
    batch[_CRC : _CRC + 4] = compute_crc(batch, 0, len(batch)).to_bytes(4, "big")
    return bytes(batch)


@pytest.mark.parametrize(
    ("records", "codes"),
    [
        (altered(_LENGTH, b"\xff\xff\xff\xff", seal=False), {87, 2, -1}),
        (altered(_LENGTH, b"\x80\x00\x00\x00", seal=False), {87, 2, -1}),
        (altered(_LENGTH, b"\x7f\xff\xff\xff", seal=False), {87, 2, -1}),
        (altered(_LENGTH, b"\x00\x00\x00\x00", seal=False), {87, 2, -1}),
        (altered(_COUNT, b"\x7f\xff\xff\xff"), {87}),
        (altered(_COUNT, b"\xff\xff\xff\xff"), {87}),
        (altered(23, b"\x7f\xff\xff\xff"), {87}),  # last offset delta
        (altered(61, b"\xff\xff\xff\xff\x0f"), {87}),  # length of the first record
        (altered(61, b"\x80" * 10), {87, -1}),
        (altered(_ATTRIBUTES, b"\x00\x05"), {-1}),  # no such codec
        (altered(_ATTRIBUTES, b"\x00\x20"), {87, 53}),  # a control batch
        (altered(_CRC, b"\0\0\0\0", seal=False), {2}),
        (PLAIN[:-1], {87, 2}),
        (PLAIN[:61], {87, 2}),
        (PLAIN[:11], {87, 2}),
        (b"", {87}),
        (PLAIN + PLAIN, {87}),
    ],
    ids=range(17),
)
def test_batches_that_lie(records: bytes, codes: set[int], lied_to: str, broker: WatchedBroker) -> None:
    """Batch length with the high bit set, control batches with a short key: twmb/franz-go hostile_broker_test.go."""
    assert produce(broker, lied_to, records) in codes
    assert broker.log() == []
