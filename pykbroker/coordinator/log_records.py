"""Coordinator records ↔ record batches of an internal topic (CoordinatorRecordSerde, CoordinatorLoaderImpl)."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from pykbroker.coordinator.shard import NO_PRODUCER_ID, CoordinatorRecord, Producer
from pykbroker.errors import MalformedFrame
from pykbroker.protocol.coordinator_records import UnknownRecordType, frame_record, parse_key, parse_value
from pykbroker.protocol.message import Message
from pykbroker.record.batch import HEADER_SIZE, TRANSACTIONAL_BIT, crc_is_valid, iterate_batches, pack_fields
from pykbroker.record.builder import append_record
from pykbroker.record.compression import compress
from pykbroker.record.control import ControlType, control_type_of
from pykbroker.record.damage import CorruptBatch
from pykbroker.record.reader import iterate_records

logger = logging.getLogger(__name__)
NO_PRODUCER_EPOCH = -1

# Of a record's key, value and the value's version: the bytes of both.
FrameRecord: TypeAlias = "Callable[[Message, Message | None, int], tuple[bytes, bytes | None]]"


class EndTransaction(NamedTuple):
    """A transaction marker."""

    committed: bool


class LogEntry(NamedTuple):
    """One record of the log; None: a record of a kind that this version does not know."""

    offset: int
    next_offset: int
    producer_id: int
    content: CoordinatorRecord | EndTransaction | None


def encode_batch(
    records: Sequence[CoordinatorRecord],
    now_ms: int,
    codec: int,
    producer: Producer | None = None,
    frame: FrameRecord = frame_record,
) -> bytearray:
    """One batch with all records, in the transaction of `producer` if there is one.

    Raises ValueError when a string does not fit its field.
    """
    out = bytearray(HEADER_SIZE)
    payload = bytearray() if codec else out
    for offset_delta, (key, value, version) in enumerate(records):
        append_record(payload, (*frame(key, value, version), (), now_ms), offset_delta, 0)
    if codec:
        out += compress(codec, payload)
    count = len(records)
    attributes, producer_id, producer_epoch = codec, NO_PRODUCER_ID, NO_PRODUCER_EPOCH
    if producer is not None:
        attributes, producer_id, producer_epoch = codec | TRANSACTIONAL_BIT, producer.producer_id, producer.epoch
    # Kafka's coordinators begin every batch with sequence 0, whether or not it has a producer.
    pack_fields(out, 0, -1, attributes, count - 1, now_ms, now_ms, producer_id, producer_epoch, 0, count)
    return out


def decode_batches(folder: str, buffer: bytes) -> Iterator[LogEntry]:
    """The records of whole batches, in order; `folder` of persisted messages. Raises MalformedFrame, KafkaError."""
    for header, position in iterate_batches(buffer):
        if not crc_is_valid(buffer, position, header):
            raise CorruptBatch(f"The batch at offset {header.base_offset} of the {folder} coordinator is damaged")
        producer_id = header.producer_id if header.is_transactional else NO_PRODUCER_ID
        for record in iterate_records(buffer, position):
            content = _marker(record.key) if header.is_control else decode_record(folder, record.key, record.value)
            yield LogEntry(record.offset, record.offset + 1, producer_id, content)
        # Compaction may have removed the last records of the batch, or all of them.
        yield LogEntry(header.last_offset, header.next_offset, producer_id, None)


def decode_record(folder: str, key: bytes | None, value: bytes | None) -> CoordinatorRecord | None:
    """None: a kind of record that this version does not know, left over by a newer one. Raises MalformedFrame."""
    if key is None:
        raise MalformedFrame("coordinator record without key")
    try:
        parsed = parse_key(folder, key)
    except UnknownRecordType as error:
        logger.warning("Ignored a record of the %s coordinator, type %d", folder, error.record_type)
        return None
    if value is None:
        return CoordinatorRecord(parsed, None)
    return CoordinatorRecord(parsed, *parse_value(folder, parsed, value))


def _marker(key: bytes | None) -> EndTransaction | None:
    control_type = control_type_of(key)
    if control_type not in (ControlType.ABORT, ControlType.COMMIT):
        return None
    return EndTransaction(control_type == ControlType.COMMIT)
