"""Opens a log: trusts it after a clean stop, else scans from the recovery point and cuts the torn tail. (LogLoader)

Pure synchronous work on one directory: a thread may run it, one log apiece.
"""

from collections.abc import Iterable, Iterator, Sequence
from logging import getLogger

from pykbroker.clock import Clock
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.checkpoints import CorruptCheckpoint
from pykbroker.log.files import Files
from pykbroker.log.leader_epochs import FILE_NAME as LEADER_EPOCHS
from pykbroker.log.leader_epochs import LeaderEpochFileCache
from pykbroker.log.leftovers import DIGITS, tidy
from pykbroker.log.log_config import LogConfig
from pykbroker.log.partition_metadata import FILE_NAME as PARTITION_METADATA
from pykbroker.log.partition_metadata import (
    CorruptPartitionMetadata,
    read_partition_metadata,
    write_partition_metadata,
)
from pykbroker.log.producer_rebuild import catch_up
from pykbroker.log.producer_state import ProducerStateManager
from pykbroker.log.retries import remember_batches
from pykbroker.log.segment import INT32_MAX, BatchAt, LogSegment, segment_path
from pykbroker.log.sparse_index import CorruptIndex
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record import legacy
from pykbroker.record.batch import CURRENT_MAGIC, crc_is_valid
from pykbroker.record.damage import CorruptBatch

logger = getLogger(__name__)


def load_log(
    *,
    directory: str,
    topic_partition: TopicPartition,
    config: LogConfig,
    files: Files,
    clock: Clock,
    was_clean: bool,
    recovery_point: int,
    log_start_offset: int,
    producer_id_expiration_ms: int,
) -> UnifiedLog:
    """Opens or creates the log in `directory`, which exists. Raises OSError, CorruptCheckpoint,
    CorruptPartitionMetadata."""
    now_ms = clock.wall_ms()
    topic_id = _topic_id(files, directory, was_clean=was_clean)
    try:
        leader_epochs = LeaderEpochFileCache(files, directory)
    except CorruptCheckpoint as error:
        if was_clean:
            raise
        # It is synced with the batches only: a power cut may leave anything. Every batch tells its epoch.
        logger.warning("%s; taking the epochs from the batches of %s", error, directory)
        unlink_for_good(files, f"{directory}/{LEADER_EPOCHS}")
        leader_epochs = LeaderEpochFileCache(files, directory)
        recovery_point = 0
    if not was_clean and leader_epochs.latest_epoch() is None:
        recovery_point = 0  # a power cut may leave it empty, too
    if not was_clean and leader_epochs.latest_epoch() is not None:
        leader_epochs.version += 1  # who wrote it was killed, and may not have synced it
    producers = ProducerStateManager(files, directory, topic_partition, producer_id_expiration_ms)
    names = tidy(files, directory, config)
    segments = [open_segment(files, directory, base, config, now_ms) for base in segment_offsets(names)]
    recovery = Recovery(files, leader_epochs, producers, log_start_offset, now_ms)
    is_placed = was_clean and bool(segments)
    if segments:
        segments = recovery.repair(segments, was_clean, recovery_point)
    else:
        # There is nothing to recover; and preallocated indexes, which are empty yet, would be taken for damaged.
        segments = [new_segment(files, directory, log_start_offset, config, now_ms)]
        was_clean = True
    start = max(log_start_offset, segments[0].base_offset)
    end, is_whole = end_of(segments[-1])
    if not is_whole:
        # Somebody damaged the end of a log that was closed in order, and nothing may be written behind half a batch.
        # Kafka writes there all the same, or dies of it and recovers when it is started again.
        recovery_point = segments[-1].base_offset
        segments = recovery.repair(segments, False, recovery_point)
        end, _ = end_of(segments[-1])
    if end < start and was_clean and 0 < recovery_point == end:
        # All that was there is there: it is the start offset that is wrong. Kafka deletes the log for it.
        logger.warning("%s ends at %d as it did: its log start offset %d is not believed", directory, end, start)
        log_start_offset = start = segments[0].base_offset
    if end < start:
        # The checkpoint knows more than the files: what was there is gone, the log goes on where it said.
        logger.warning("%s ends at %d, before its log start offset %d: starting over there", directory, end, start)
        for segment in segments:
            for path in segment.mark_deleted():
                files.unlink(path)
        segments = [new_segment(files, directory, start, config, now_ms)]
        leader_epochs.clear()
        end = start
    leader_epochs.truncate_from_end(end)
    leader_epochs.truncate_from_start(start)
    producers.remove_stray_snapshots({segment.base_offset for segment in segments})
    log = UnifiedLog(
        directory=directory,
        topic_partition=topic_partition,
        topic_id=topic_id,
        config=config,
        files=files,
        clock=clock,
        segments=segments,
        log_start_offset=start,
        log_end_offset=end,
        recovery_point=end if was_clean and is_whole else min(recovery_point, end),
        leader_epochs=leader_epochs,
        producer_state=producers,
    )
    log.is_placed = is_placed
    log.rebuild_producer_state(end)
    if not was_clean:
        first = sum(segment.base_offset <= start for segment in segments) - 1  # what is below may be damaged
        remember_batches(producers, segments[max(first, 0) :])
    log.update_high_watermark(start)
    for segment in segments:
        # A thousand idle partitions must not cost a thousand descriptors: files open again when needed.
        segment.release()
    return log


def create_log(
    *,
    directory: str,
    topic_partition: TopicPartition,
    topic_id: Uuid,
    config: LogConfig,
    files: Files,
    clock: Clock,
    producer_id_expiration_ms: int,
) -> UnifiedLog:
    """A log in a directory that has just been made, where nothing need be looked for: a topic may have thousands.

    Raises OSError.
    """
    write_partition_metadata(files, directory, topic_id)
    segment = new_segment(files, directory, 0, config, clock.wall_ms())
    log = UnifiedLog(
        directory=directory,
        topic_partition=topic_partition,
        topic_id=topic_id,
        config=config,
        files=files,
        clock=clock,
        segments=[segment],
        log_start_offset=0,
        log_end_offset=0,
        recovery_point=0,
        leader_epochs=LeaderEpochFileCache(files, directory, is_new=True),
        producer_state=ProducerStateManager(files, directory, topic_partition, producer_id_expiration_ms, is_new=True),
    )
    segment.release()
    return log


def _topic_id(files: Files, directory: str, *, was_clean: bool) -> Uuid | None:
    """Raises CorruptPartitionMetadata after a clean stop, OSError."""
    try:
        return read_partition_metadata(files, directory)
    except CorruptPartitionMetadata as error:
        if was_clean:
            raise
        # It is synced with the first batches: a power cut before may leave anything, and nothing that was promised.
        logger.warning("%s; taking the topic id from the metadata log", error)
        unlink_for_good(files, f"{directory}/{PARTITION_METADATA}")
        return None


def unlink_for_good(files: Files, path: str) -> None:
    """Damage that another power cut would bring back is not forgiven after a clean stop."""
    files.unlink(path)
    files.fsync_directory(path.rpartition("/")[0])


def segment_offsets(names: Iterable[str]) -> list[int]:
    return sorted(int(name[:DIGITS]) for name in names if is_segment(name))


def is_segment(name: str) -> bool:
    return len(name) == DIGITS + 4 and name.endswith(".log") and name[:DIGITS].isdigit()


def open_segment(files: Files, directory: str, base_offset: int, config: LogConfig, now_ms: int) -> LogSegment:
    size = files.size_of(segment_path(directory, base_offset, ".log"))
    return LogSegment(files, directory, base_offset, config, now_ms, size)


def new_segment(files: Files, directory: str, base_offset: int, config: LogConfig, now_ms: int) -> LogSegment:
    segment = LogSegment(files, directory, base_offset, config, now_ms, 0)
    segment.create()
    return segment


class Recovery:
    """Recovers segments in order, and with them what is derived from their batches."""

    def __init__(
        self,
        files: Files,
        leader_epochs: LeaderEpochFileCache,
        producers: ProducerStateManager,
        log_start_offset: int,
        now_ms: int,
    ) -> None:
        self._files = files
        self._leader_epochs = leader_epochs
        self._producers = producers
        self._log_start_offset = log_start_offset
        self._now_ms = now_ms

    def repair(self, segments: list[LogSegment], was_clean: bool, recovery_point: int) -> list[LogSegment]:
        """Recovers what may be damaged; what follows a cut is dropped, for offsets must not have holes."""
        for index, segment in enumerate(segments):
            next_base = segments[index + 1].base_offset if index + 1 < len(segments) else None
            unflushed = not was_clean and (next_base is None or next_base > recovery_point)
            if not unflushed and is_sane(segment):
                continue
            self._producers_up_to(segment, segments[:index])
            # Below the log start nothing had to be synced, and no hole there is ever read.
            is_deleted = not was_clean and next_base is not None and next_base <= self._log_start_offset
            behind = () if is_deleted else segments[index + 1 :]
            if self.recover_segment(segment, behind) and behind:
                return segments[: index + 1]
        return segments

    def _producers_up_to(self, segment: LogSegment, before: list[LogSegment]) -> None:
        """Without the transactions that were open before a segment its transaction index cannot be rebuilt."""
        if self._producers.map_end_offset == segment.base_offset and self._producers.producers:
            return
        self._producers.load(self._log_start_offset, segment.base_offset, self._now_ms)
        catch_up(self._producers, before, segment.base_offset)

    def recover_segment(self, segment: LogSegment, behind: Sequence[LogSegment] = ()) -> int:
        """Rebuilds the indexes from the batches and cuts the file behind the last good one; returns the bytes cut.

        The segments behind a cut go first: whoever is interrupted between the two must find the cut again.
        """
        segment.forget_indexes()
        valid = 0
        end = segment.base_offset
        for batch in valid_batches(segment):
            segment.index_batch(batch)
            self._replay(segment, batch)
            valid = batch.position + batch.size
            end = batch.last_offset + 1
        cut = segment.size - valid
        if cut:
            logger.warning("Cutting %d bytes at %d of %s: no whole valid batch there", cut, valid, segment.path(".log"))
            drop(self._files, behind)
            segment.truncate_bytes(valid)
        segment.seal_indexes()
        self._producers.map_end_offset = end
        self._producers.take_snapshot()
        return cut

    def _replay(self, segment: LogSegment, batch: BatchAt) -> None:
        header = batch.header
        if header is None:
            return
        epoch, latest = header.partition_leader_epoch, self._leader_epochs.latest_epoch()
        # The cache may know later epochs already; an older one must not push them out. But a power cut may bring back
        # the file of before a truncation, in which the latest began behind where it begins now.
        begins_later = epoch == latest and batch.base_offset < self._leader_epochs.entries[-1][1]
        if epoch >= 0 and (latest is None or epoch > latest or begins_later):
            self._leader_epochs.assign(epoch, batch.base_offset)
        if header.has_producer_id:
            whole = segment.read(batch.position, batch.size) if header.is_control else b""
            aborted = self._producers.replay(header, whole)
            if aborted is not None:
                segment.transaction_index.append(aborted)


def is_sane(segment: LogSegment) -> bool:
    try:
        segment.sanity_check()
    except CorruptIndex as error:
        logger.warning("Rebuilding the indexes of %s: %s", segment.path(".log"), error)
        return False
    return True


def drop(files: Files, segments: Sequence[LogSegment]) -> None:
    """The last one first, and for good: what is left of them when that is interrupted must have no hole before it."""
    for segment in reversed(segments):
        logger.warning("Dropping %s: the segment before it was cut short", segment.path(".log"))
        for path in segment.mark_deleted():
            files.unlink(path)
    if segments:
        files.fsync_directory(segments[0].directory)


def valid_batches(segment: LogSegment) -> Iterator[BatchAt]:
    """The batches up to the first that is torn or whose checksum is wrong."""
    last_offset = segment.base_offset - 1
    try:
        for batch in segment.batches(0):
            in_range = last_offset < batch.last_offset <= segment.base_offset + INT32_MAX
            if not in_range or not checksum_is_right(segment, batch):
                return
            last_offset = batch.last_offset
            yield batch
    except (CorruptBatch, KafkaError) as error:
        logger.warning("Found invalid messages in %s: %s", segment.path(".log"), error)


def checksum_is_right(segment: LogSegment, batch: BatchAt) -> bool:
    data = segment.read(batch.position, batch.size)
    if batch.magic < CURRENT_MAGIC:
        return legacy.crc_is_valid(data, 0, batch.size)
    return batch.header is not None and crc_is_valid(data, 0, batch.header)


def end_of(segment: LogSegment) -> tuple[int, bool]:
    """The offset behind the segment's last whole batch, and whether the file ends with it, as far as the last entry of
    the offset index leads."""
    last = segment.offset_index.last()
    end, position = segment.base_offset, last[1] if last else 0
    try:
        for batch in segment.batches(position):
            end, position = batch.last_offset + 1, batch.position + batch.size
    except KafkaError as error:
        logger.warning("No batch ends %s: %s", segment.path(".log"), error)
        return end, False
    is_misled = last is not None and end <= segment.base_offset + last[0]
    return end, position >= segment.size and not is_misled
