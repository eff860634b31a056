"""Coordinator records ↔ record batches of an internal topic (CoordinatorRecordSerde, CoordinatorLoaderImpl)."""

import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pykbroker.coordinator.shard import NO_PRODUCER_ID, CoordinatorRecord, Producer
from pykbroker.errors import MalformedFrame
from pykbroker.protocol.coordinator_records import UnknownRecordType, frame_key, frame_value, parse_key, parse_value
from pykbroker.record.batch import crc_is_valid, iterate_batches
from pykbroker.record.builder import build_batch
from pykbroker.record.control import ControlType, control_type_of
from pykbroker.record.damage import CorruptBatch
from pykbroker.record.reader import iterate_records

logger = logging.getLogger(__name__)


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
    records: Sequence[CoordinatorRecord], now_ms: int, codec: int, producer: Producer | None = None
) -> bytearray:
    """One batch with all records, in the transaction of `producer` if there is one.

    Raises ValueError when a string does not fit its field.
    """
    rows = [
        (frame_key(key), None if value is None else frame_value(value, version), (), now_ms)
        for key, value, version in records
    ]
    # Kafka's coordinators begin every batch with sequence 0, whether or not it has a producer.
    if producer is None:
        return build_batch(rows, codec=codec, base_sequence=0)
    return build_batch(
        rows,
        codec=codec,
        producer_id=producer.producer_id,
        producer_epoch=producer.epoch,
        base_sequence=0,
        is_transactional=True,
    )


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
