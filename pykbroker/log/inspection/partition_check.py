"""One partition's directory: which files there are, all segments in order, what they must agree upon."""

import os
import re
from typing import NamedTuple

from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log import leader_epochs, partition_metadata
from pykbroker.log.files import Files
from pykbroker.log.inspection.epoch_check import EpochCheck
from pykbroker.log.inspection.producer_check import ProducerCheck
from pykbroker.log.inspection.report import Report, Severity
from pykbroker.log.inspection.segment_check import BatchReader, Companions, Place, SegmentCheck
from pykbroker.log.inspection.text_files import (
    EpochLine,
    FlawedFile,
    epoch_flaws,
    parse_epoch_line,
    read_checkpoint,
    read_topic_id,
)
from pykbroker.log.leftovers import DELETED, DIGITS, INDEXES, LEFT, SWAP, base_offset_of
from pykbroker.log.recovery import segment_offsets

_SNAPSHOT = re.compile(r"[0-9]{20}\.snapshot")
_METADATA_FILES = re.compile(r"[0-9]{20}-[0-9]{10}\.checkpoint|quorum-state")
_PARTLY_WRITTEN = ".checkpoint.part"


class PartitionPlace(NamedTuple):
    """What the log directory knows of a partition. `log_start_offset` as its checkpoint says, 0 when it says nothing;
    `may_be_compacted`: offsets may be missing."""

    directory: str
    topic_partition: TopicPartition
    is_clean: bool
    recovery_point: int
    log_start_offset: int
    may_be_compacted: bool


class PartitionResult(NamedTuple):
    """`end_offset` behind the last good batch; `epoch` the largest that a batch bears, -1 for none."""

    topic_id: Uuid | None
    first_offset: int
    end_offset: int
    epoch: int
    is_preallocated: bool


def check_partition(place: PartitionPlace, report: Report, readers: list[BatchReader]) -> PartitionResult:
    """Reads everything. Raises OSError."""
    names = sorted(os.listdir(place.directory))
    bases = segment_offsets(names)
    _name_leftovers(place, names, set(bases), report)
    topic_id = _topic_id(place, report)
    epoch_lines = _epochs(place, names, bool(bases), report)
    log_start = max(place.log_start_offset, bases[0] if bases else 0)
    epochs_from = log_start
    if epoch_lines and not place.is_clean:
        # The checkpoint of log start offsets is written now and then, epochs go at once.
        epochs_from = max(log_start, epoch_lines[0].start_offset)
    epochs = EpochCheck(f"{place.directory}/{leader_epochs.FILE_NAME}", epoch_lines, epochs_from, report)
    if not bases:
        if place.is_clean:
            report.defect("segment", place.directory, "there is no segment")
        return PartitionResult(topic_id, 0, log_start, -1, is_preallocated=False)
    producers = ProducerCheck(place.directory, place.topic_partition, report)
    segments = SegmentCheck(Companions(report, producers, epochs, readers, place.may_be_compacted), bases[0])
    for index, base in enumerate(bases):
        next_base = bases[index + 1] if index + 1 < len(bases) else None
        is_flushed = place.is_clean or (next_base is not None and next_base <= place.recovery_point)
        segment = Place(place.directory, base, next_base is None, is_flushed)
        if index == 0:
            producers.begin(base, segment.severity)
        segments.run(segment)
        if next_base is not None:
            segments.at_next_segment(next_base)
        producers.at_snapshot(segments.end_offset if next_base is None else next_base, segment.severity)
    last_severity = Severity.DEFECT if place.is_clean else Severity.RECOVERY
    epochs.finish(segments.end_offset, last_severity)
    _check_snapshot_names(place, names, segments.end_offset, report)
    return PartitionResult(topic_id, bases[0], segments.end_offset, epochs.latest_of_batches, segments.is_preallocated)


def _topic_id(place: PartitionPlace, report: Report) -> Uuid | None:
    path = f"{place.directory}/{partition_metadata.FILE_NAME}"
    try:
        data = Files().read_bytes(path)
    except FileNotFoundError:
        report.defect("partition metadata", path, "the file is missing")
        return None
    if not data and not place.is_clean:
        report.add(Severity.RECOVERY, "partition metadata", path, "the file is empty")
        return None
    try:
        return read_topic_id(data)
    except FlawedFile as error:
        report.defect("partition metadata", path, str(error), position=error.flaw.position)
        return None


def _epochs(place: PartitionPlace, names: list[str], has_segments: bool, report: Report) -> list[EpochLine]:
    path = f"{place.directory}/{leader_epochs.FILE_NAME}"
    if leader_epochs.FILE_NAME not in names:
        return []  # a log to which no leader ever wrote has none; batches will tell
    severity = Severity.DEFECT if place.is_clean or not has_segments else Severity.RECOVERY
    try:
        entries = read_checkpoint(Files().read_bytes(path), parse_epoch_line)
    except FlawedFile as error:
        report.add(severity, "leader epoch", path, str(error), position=error.flaw.position)
        return []
    for flaw in epoch_flaws(entries):
        report.add(severity, "leader epoch", path, flaw.message, position=flaw.position)
    return entries


def _name_leftovers(place: PartitionPlace, names: list[str], bases: set[int], report: Report) -> None:
    """Files that are no part of the log as it should be."""
    # In the middle of a replacement the index may have its final name already.
    is_swapping = not place.is_clean and any(name.endswith(SWAP) for name in names)
    orphans = Severity.RECOVERY if is_swapping else Severity.DEFECT
    deleted = [name for name in names if name.endswith(DELETED)]
    if deleted:
        message = f"{len(deleted)} files were replaced or deleted, and go with the next start: {deleted[0]} …"
        report.note("leftover", place.directory, message)
    for name in names:
        if name.endswith(DELETED):
            continue
        path = f"{place.directory}/{name}"
        if name.endswith((*LEFT, _PARTLY_WRITTEN)):
            severity = Severity.RECOVERY if name.endswith(SWAP) else Severity.NOTE
            report.add(severity, "leftover", path, "left by an interrupted operation; the next start tidies up")
        elif name.endswith(INDEXES) and base_offset_of(name) is not None and len(name) > DIGITS:
            if base_offset_of(name) not in bases:
                report.add(orphans, "orphan", path, "an index without its segment: the .log file is missing")
        elif not _is_expected(name):
            report.note("unknown file", path, "no file that Kafka writes here")


def _is_expected(name: str) -> bool:
    is_segment = name.endswith(".log") and len(name) == DIGITS + 4 and base_offset_of(name) is not None
    is_other = name in (partition_metadata.FILE_NAME, leader_epochs.FILE_NAME)
    return is_segment or is_other or bool(_SNAPSHOT.fullmatch(name) or _METADATA_FILES.fullmatch(name))


def _check_snapshot_names(place: PartitionPlace, names: list[str], end_offset: int, report: Report) -> None:
    """Those in the middle of a segment are of earlier stops, and no harm."""
    severity = Severity.DEFECT if place.is_clean else Severity.RECOVERY
    for name in names:
        if not _SNAPSHOT.fullmatch(name):
            continue
        offset, path = int(name[:DIGITS]), f"{place.directory}/{name}"
        if offset > end_offset:
            message = f"a snapshot behind the log's end, {end_offset}"
            report.add(severity, "producer snapshot", path, message, offset=offset)
