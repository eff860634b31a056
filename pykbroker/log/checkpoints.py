"""Kafka's text checkpoints: a version, a count, and one entry a line. (CheckpointFile, OffsetCheckpointFile)"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pykbroker.ids import TopicPartition
from pykbroker.log.files import Files

RECOVERY_POINT = "recovery-point-offset-checkpoint"
HIGH_WATERMARK = "replication-offset-checkpoint"
LOG_START_OFFSET = "log-start-offset-checkpoint"
CLEANER_OFFSET = "cleaner-offset-checkpoint"

_VERSION = 0
Entry = TypeVar("Entry")


class CorruptCheckpoint(Exception):
    """A checkpoint file that does not follow the format; the message names file and line."""


def write_entries(files: Files, path: str, lines: Iterable[str]) -> None:
    """Replaces the file in one step. Raises OSError."""
    files.write_atomically(path, checkpoint_text(lines))


def checkpoint_text(lines: Iterable[str]) -> bytes:
    """The content of the file."""
    listed = list(lines)
    return "".join(f"{line}\n" for line in [str(_VERSION), str(len(listed)), *listed]).encode()


def read_entries(files: Files, path: str, parse: Callable[[str], Entry]) -> list[Entry]:
    """The entries, none when there is no file. Raises CorruptCheckpoint."""
    try:
        text = files.read_bytes(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    if not text:
        return []
    lines = text.splitlines()
    try:
        version, count = int(lines[0]), int(lines[1])
        if version != _VERSION:
            raise CorruptCheckpoint(f"{path}: unknown version {version}; {_VERSION} is known")
        entries = [parse(line) for line in lines[2:]]
    except (ValueError, IndexError) as error:
        raise CorruptCheckpoint(f"{path}: malformed: {error}") from None
    if not text.endswith("\n"):
        raise CorruptCheckpoint(f"{path}: it ends within a line")
    if len(entries) != count:
        raise CorruptCheckpoint(f"{path}: {count} entries announced, {len(entries)} found")
    return entries


def write_offsets(files: Files, path: str, offsets: Mapping[TopicPartition, int]) -> None:
    """topic partition offset, a line each. Raises OSError."""
    write_entries(files, path, (f"{tp.topic} {tp.partition} {offset}" for tp, offset in offsets.items()))


def read_offsets(files: Files, path: str) -> dict[TopicPartition, int]:
    """Raises CorruptCheckpoint."""
    return dict(read_entries(files, path, _parse_offset))


def _parse_offset(line: str) -> tuple[TopicPartition, int]:
    topic, partition, offset = line.split()
    return TopicPartition(topic, int(partition)), int(offset)
