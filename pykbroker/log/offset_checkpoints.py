"""The four offset checkpoints of one log directory: what each says of its logs. (OffsetCheckpointFile)

Written on a schedule, at a stop, and before a log of the same name, or a moved one, could be taken for another.
As in Kafka a moved log start offset waits for log.flush.start.offset.checkpoint.interval.ms: killed before, a broker
serves deleted records again, until their segments are gone. But a recovery point moves with it over what was never
synced: whoever reads that one must know the start offset, too.
"""

from collections.abc import Callable, Iterable
from logging import getLogger

from pykbroker.ids import TopicPartition
from pykbroker.log import checkpoints
from pykbroker.log.checkpoints import CorruptCheckpoint, read_offsets, write_offsets
from pykbroker.log.files import Files
from pykbroker.log.unified_log import UnifiedLog

logger = getLogger(__name__)


class OffsetCheckpoints:
    def __init__(self, files: Files, directory: str) -> None:
        self._files = files
        self._directory = directory
        # Who is in which file, also logs that are no more.
        self._known: dict[str, frozenset[TopicPartition]] = {}
        self._starts: dict[TopicPartition, int] = {}

    def read(self, name: str) -> dict[TopicPartition, int]:
        """A damaged file says nothing: recovery reads more then, and logs start with their first segment."""
        try:
            found = read_offsets(self._files, self._path(name))
        except CorruptCheckpoint as error:
            logger.warning("%s; going on without it", error)
            found = {}
        self._note(name, found)
        return found

    def write(self, name: str, logs: Iterable[UnifiedLog]) -> None:
        """`logs`: all that are in the directory. Raises OSError."""
        present = list(logs)
        if name == checkpoints.RECOVERY_POINT:
            starts = _offsets(checkpoints.LOG_START_OFFSET, present)
            if any(start > self._starts.get(tp, 0) for tp, start in starts.items()):
                self._write(checkpoints.LOG_START_OFFSET, starts)
        self._write(name, _offsets(name, present))

    def _write(self, name: str, offsets: dict[TopicPartition, int]) -> None:
        write_offsets(self._files, self._path(name), offsets)
        self._note(name, offsets)

    def _note(self, name: str, offsets: dict[TopicPartition, int]) -> None:
        self._known[name] = frozenset(offsets)
        if name == checkpoints.LOG_START_OFFSET:
            self._starts = offsets

    def naming(self, tp: TopicPartition) -> list[str]:
        """Those that say something of `tp`."""
        return [name for name, known in self._known.items() if tp in known]

    def take_over(self, log: UnifiedLog, synced: int) -> None:
        """Notes a log of another directory, whose copy here is on disk up to `synced`. Raises OSError."""
        for name, offset in (
            (checkpoints.LOG_START_OFFSET, log.log_start_offset),
            (checkpoints.HIGH_WATERMARK, log.high_watermark),
            (checkpoints.RECOVERY_POINT, synced),
        ):
            present = self.read(name)
            write_offsets(self._files, self._path(name), {**present, log.topic_partition: offset})

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"


def _offsets(name: str, logs: Iterable[UnifiedLog]) -> dict[TopicPartition, int]:
    offset_of = _OFFSET_OF[name]
    found = ((log.topic_partition, offset_of(log)) for log in logs)
    return {tp: offset for tp, offset in found if offset is not None}


def _start_offset(log: UnifiedLog) -> int | None:
    """Only of logs that start behind their first segment's base: the others need no entry."""
    return log.log_start_offset if log.log_start_offset > log.segments[0].base_offset else None


_OFFSET_OF: dict[str, Callable[[UnifiedLog], int | None]] = {
    checkpoints.RECOVERY_POINT: lambda log: log.recovery_point,
    checkpoints.HIGH_WATERMARK: lambda log: log.high_watermark,
    checkpoints.LOG_START_OFFSET: _start_offset,
    checkpoints.CLEANER_OFFSET: lambda log: log.cleaning.first_dirty_offset,
}
