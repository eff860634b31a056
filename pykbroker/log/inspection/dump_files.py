"""Rows for indexes, producer snapshots and text files."""

from collections.abc import Callable, Iterator

from pykbroker.log.inspection.index_files import (
    IndexContent,
    read_offset_index,
    read_time_index,
    read_transaction_index,
)
from pykbroker.log.inspection.kinds import Kind
from pykbroker.log.inspection.report import Flaw
from pykbroker.log.inspection.row import DumpOptions, Row, damage
from pykbroker.log.inspection.snapshot_file import read_entries
from pykbroker.log.inspection.text_files import (
    FlawedFile,
    epoch_flaws,
    parse_epoch_line,
    parse_offset_line,
    read_checkpoint,
    read_clean_shutdown,
    read_meta_properties,
    read_topic_id,
)

Reader = Callable[[bytes, int], Iterator[Row]]


def dump_file(kind: Kind, data: bytes, base_offset: int, options: DumpOptions) -> Iterator[Row]:
    """The rows of any file that is read whole; damage is a row too."""
    count = 0
    try:
        for row in _READERS[kind](data, base_offset):
            if row["row"] == "entry":
                if _offset_of(row, options.offset) < options.offset:
                    continue
                if options.maximum is not None and count >= options.maximum:
                    continue
                count += 1
            yield row
    except FlawedFile as error:
        yield damage(*error.flaw)


def _offset_of(row: Row, default: int) -> int:
    """Up to where an entry of an index reaches; entries of other files have no such offset."""
    value = row.get("last_offset", row.get("offset"))
    return default if value is None else int(value)


def _offset_index(data: bytes, base_offset: int) -> Iterator[Row]:
    content = read_offset_index(data, base_offset)
    for entry in content.entries:
        yield {"row": "entry", "offset": entry.first, "position": entry.second}
    yield from _rest(data, content)


def _time_index(data: bytes, base_offset: int) -> Iterator[Row]:
    content = read_time_index(data, base_offset)
    for entry in content.entries:
        yield {"row": "entry", "timestamp": entry.first, "offset": entry.second}
    yield from _rest(data, content)


def _rest(data: bytes, content: IndexContent) -> Iterator[Row]:
    if content.preallocated:
        yield {"row": "preallocated", "position": len(data) - content.preallocated, "size": content.preallocated}
    yield from _flaws(content.flaws)


def _flaws(flaws: list[Flaw]) -> Iterator[Row]:
    for flaw in flaws:
        yield damage(*flaw)


def _transaction_index(data: bytes, base_offset: int) -> Iterator[Row]:
    entries, flaws = read_transaction_index(data, base_offset)
    for _, aborted in entries:
        yield {"row": "entry", **aborted._asdict()}
    yield from _flaws(flaws)


def _producer_snapshot(data: bytes, _: int) -> Iterator[Row]:
    for entry in read_entries(data):
        fields = entry._asdict()
        del fields["position"]
        # Offsets of a producer's last batch are not where the entry stands.
        fields["last_batch_offset"] = fields.pop("last_offset")
        yield {"row": "entry", **fields}


def _leader_epochs(data: bytes, _: int) -> Iterator[Row]:
    entries = read_checkpoint(data, parse_epoch_line)
    for entry in entries:
        yield {"row": "entry", "epoch": entry.epoch, "start_offset": entry.start_offset}
    yield from _flaws(epoch_flaws(entries))


def _offset_checkpoint(data: bytes, _: int) -> Iterator[Row]:
    for line in read_checkpoint(data, parse_offset_line):
        topic, partition = line.topic_partition
        yield {"row": "entry", "topic": topic, "partition": partition, "checkpoint": line.offset}


def _partition_metadata(data: bytes, _: int) -> Iterator[Row]:
    yield {"row": "file", "version": 0, "topic_id": str(read_topic_id(data))}


def _meta_properties(data: bytes, _: int) -> Iterator[Row]:
    yield {"row": "file", **{name: found.value for name, found in read_meta_properties(data).items()}}


def _clean_shutdown(data: bytes, _: int) -> Iterator[Row]:
    yield {"row": "file", "broker_epoch": read_clean_shutdown(data)}


_READERS: dict[Kind, Reader] = {
    Kind.OFFSET_INDEX: _offset_index,
    Kind.TIME_INDEX: _time_index,
    Kind.TRANSACTION_INDEX: _transaction_index,
    Kind.PRODUCER_SNAPSHOT: _producer_snapshot,
    Kind.LEADER_EPOCHS: _leader_epochs,
    Kind.OFFSET_CHECKPOINT: _offset_checkpoint,
    Kind.PARTITION_METADATA: _partition_metadata,
    Kind.META_PROPERTIES: _meta_properties,
    Kind.CLEAN_SHUTDOWN: _clean_shutdown,
}
