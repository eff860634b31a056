"""Rows for the batches and records of a segment or metadata snapshot. (DumpLogSegments.dumpLog)"""

from collections.abc import Iterator

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.log.inspection.batches import BadBytes, ByteFile, FoundBatch, scan
from pykbroker.log.inspection.decoding import decode_control, decoder_of, told
from pykbroker.log.inspection.row import DumpOptions, Row, damage
from pykbroker.record.compression import Codec
from pykbroker.record.legacy import parse_message
from pykbroker.record.reader import Record, iterate_records


def dump_batches(path: str, base_offset: int, records: str, options: DumpOptions) -> Iterator[Row]:
    """`records`: see kinds.Recognised. Raises OSError."""
    shows_records = options.records if options.records is not None else bool(records)
    count = 0
    with ByteFile(path) as file:
        for found in scan(file, base_offset):
            if isinstance(found, BadBytes):
                yield damage(found.position, f"{found.kind}: {found.message}", length=found.length)
                continue
            if found.last_offset < options.offset:
                continue
            if options.maximum is not None and count >= options.maximum:
                return
            count += 1
            try:
                yield _batch_row(found)
            except KafkaError as error:  # a message of magic 0 or 1 whose fields overrun it
                yield damage(found.position, told(error), length=found.size)
                continue
            if shows_records:
                yield from _records(found, records, options.offset)


def _batch_row(batch: FoundBatch) -> Row:
    header = batch.header
    row: Row = {"row": "batch", "position": batch.position, "size": batch.size}
    if header is None:
        message = parse_message(batch.data(), 0, batch.size)
        row |= {"last_offset": batch.last_offset, "magic": batch.magic, "codec": _codec(message.attributes & 7)}
        return row | {"max_timestamp": batch.max_timestamp, "crc": message.crc}
    row |= {
        "base_offset": batch.base_offset,
        "last_offset": batch.last_offset,
        "count": header.record_count,
        "leader_epoch": header.partition_leader_epoch,
        "magic": batch.magic,
        "codec": _codec(header.codec),
        "timestamp_type": "LogAppendTime" if header.is_log_append_time else "CreateTime",
        "max_timestamp": header.max_timestamp,
        "crc": header.crc,
    }
    if header.has_producer_id or header.base_sequence >= 0:
        row |= {
            "producer_id": header.producer_id,
            "producer_epoch": header.producer_epoch,
            "base_sequence": header.base_sequence,
            "last_sequence": header.last_sequence,
        }
    row |= {"transactional": header.is_transactional, "control": header.is_control}
    if header.has_delete_horizon:
        row["delete_horizon_ms"] = header.base_timestamp
    return row


def _codec(number: int) -> str:
    return Codec(number).name.lower() if number in set(Codec) else f"unknown {number}"


def _records(batch: FoundBatch, records: str, from_offset: int) -> Iterator[Row]:
    is_control = batch.header is not None and batch.header.is_control
    decode = decode_control if is_control else decoder_of(records)
    offset = batch.base_offset
    try:
        for record in iterate_records(batch.data()):
            offset = record.offset
            if offset >= from_offset:
                yield {**_head(record), **decode(record)}
    except (KafkaError, MalformedFrame) as error:
        yield damage(batch.position, f"record at offset {offset}: {told(error)}", offset=offset)


def _head(record: Record) -> Row:
    row: Row = {"row": "record", "offset": record.offset, "timestamp": record.timestamp}
    return row if record.sequence < 0 else {**row, "sequence": record.sequence}
