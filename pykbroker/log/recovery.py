"""Opens a log: trusts it after a clean stop, else scans from the recovery point and cuts the torn tail. (LogLoader)

Pure synchronous work on one directory: a thread may run it, one log apiece.
"""

import os
from collections.abc import Iterator
from logging import getLogger

from pykbroker.clock import Clock
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.files import Files
from pykbroker.log.leader_epochs import LeaderEpochFileCache
from pykbroker.log.log_config import LogConfig
from pykbroker.log.partition_metadata import read_partition_metadata
from pykbroker.log.producer_state import ProducerStateManager
from pykbroker.log.segment import INT32_MAX, BatchAt, LogSegment, segment_path
from pykbroker.log.sparse_index import CorruptIndex
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record import legacy
from pykbroker.record.batch import CURRENT_MAGIC, crc_is_valid
from pykbroker.record.damage import CorruptBatch

logger = getLogger(__name__)
DIGITS = 20


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
    topic_id = read_partition_metadata(files, directory)
    leader_epochs = LeaderEpochFileCache(files, directory)
    producers = ProducerStateManager(files, directory, topic_partition, producer_id_expiration_ms)
    remove_leftovers(files, directory)
    segments = [open_segment(files, directory, base, config, now_ms) for base in segment_offsets(directory)]
    if not segments:
        segments = [new_segment(files, directory, log_start_offset, config, now_ms)]
        recovery_point = 0
    segments = repair(segments, leader_epochs, was_clean, recovery_point)
    start = max(log_start_offset, segments[0].base_offset)
    end = next_offset(segments[-1])
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
        recovery_point=end if was_clean else min(recovery_point, end),
        leader_epochs=leader_epochs,
        producer_state=producers,
    )
    log.rebuild_producer_state(end)
    log.update_high_watermark(start)
    return log


def segment_offsets(directory: str) -> list[int]:
    return sorted(int(name[:DIGITS]) for name in os.listdir(directory) if is_segment(name))


def is_segment(name: str) -> bool:
    return len(name) == DIGITS + 4 and name.endswith(".log") and name[:DIGITS].isdigit()


def remove_leftovers(files: Files, directory: str) -> None:
    """What an interrupted deletion, cleaning or checkpoint left, and indexes whose segment is gone."""
    names = set(os.listdir(directory))
    for name in names:
        orphan = name.endswith((".index", ".timeindex", ".txnindex")) and f"{name[:DIGITS]}.log" not in names
        if orphan or name.endswith((".deleted", ".cleaned", ".tmp")):
            files.unlink(f"{directory}/{name}")


def open_segment(files: Files, directory: str, base_offset: int, config: LogConfig, now_ms: int) -> LogSegment:
    size = os.stat(segment_path(directory, base_offset, ".log")).st_size
    return LogSegment(files, directory, base_offset, config, now_ms, size)


def new_segment(files: Files, directory: str, base_offset: int, config: LogConfig, now_ms: int) -> LogSegment:
    segment = LogSegment(files, directory, base_offset, config, now_ms, 0)
    segment.create()
    return segment


def repair(
    segments: list[LogSegment], leader_epochs: LeaderEpochFileCache, was_clean: bool, recovery_point: int
) -> list[LogSegment]:
    """Recovers what may be damaged; what follows a cut is dropped, for offsets must not have holes."""
    kept: list[LogSegment] = []
    for index, segment in enumerate(segments):
        next_base = segments[index + 1].base_offset if index + 1 < len(segments) else None
        unflushed = not was_clean and (next_base is None or next_base > recovery_point)
        kept.append(segment)
        needs_recovery = unflushed or not is_sane(segment)
        if needs_recovery and recover_segment(segment, leader_epochs) and next_base is not None:
            drop(segments[index + 1 :])
            return kept
    return kept


def is_sane(segment: LogSegment) -> bool:
    try:
        segment.sanity_check()
    except CorruptIndex as error:
        logger.warning("Rebuilding the indexes of %s: %s", segment.path(".log"), error)
        return False
    return True


def drop(segments: list[LogSegment]) -> None:
    for segment in segments:
        logger.warning("Dropping %s: the segment before it was cut short", segment.path(".log"))
        for path in segment.mark_deleted():
            os.unlink(path)


def recover_segment(segment: LogSegment, leader_epochs: LeaderEpochFileCache) -> int:
    """Rebuilds the indexes from the batches and cuts the file behind the last good one; returns the bytes cut."""
    segment.offset_index.truncate_entries(0)
    segment.time_index.truncate_entries(0)
    segment.transaction_index.reset()
    segment.max_timestamp = -1
    segment.offset_of_max_timestamp = segment.base_offset
    segment.bytes_since_last_index_entry = 0
    valid = 0
    for batch in valid_batches(segment):
        if batch.max_timestamp > segment.max_timestamp:
            segment.max_timestamp = batch.max_timestamp
            segment.offset_of_max_timestamp = batch.last_offset
        if segment.bytes_since_last_index_entry > segment.config.index_interval_bytes:
            segment.add_index_entry(batch.last_offset, batch.position)
        segment.bytes_since_last_index_entry += batch.size
        valid = batch.position + batch.size
        if batch.header is not None and batch.header.partition_leader_epoch >= 0:
            leader_epochs.assign(batch.header.partition_leader_epoch, batch.base_offset)
    cut = segment.size - valid
    if cut:
        logger.warning("Cutting %d bytes at %d of %s: no whole valid batch there", cut, valid, segment.path(".log"))
        segment.truncate_bytes(valid)
    segment.time_index.maybe_append(segment.largest_timestamp(), segment.offset_of_max_timestamp, even_if_full=True)
    segment.offset_index.trim()
    segment.time_index.trim()
    return cut


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


def next_offset(segment: LogSegment) -> int:
    """The offset behind the segment's last batch."""
    last = segment.offset_index.last()
    end = segment.base_offset
    for batch in segment.batches(last[1] if last else 0):
        end = batch.last_offset + 1
    return end
