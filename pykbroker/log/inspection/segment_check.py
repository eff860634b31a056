"""One segment and its indexes: every batch is read once, and everything that tells of batches is held against it."""

import os
from typing import NamedTuple, Protocol

from pykbroker.errors import KafkaError
from pykbroker.log.files import Files
from pykbroker.log.inspection.batches import BadBytes, ByteFile, FoundBatch, scan
from pykbroker.log.inspection.decoding import told
from pykbroker.log.inspection.epoch_check import EpochCheck
from pykbroker.log.inspection.index_check import OffsetIndexCheck, TimeIndexCheck
from pykbroker.log.inspection.index_files import IndexContent, read_offset_index, read_time_index
from pykbroker.log.inspection.producer_check import ProducerCheck
from pykbroker.log.inspection.report import Flaw, Report, Severity
from pykbroker.log.segment import segment_path
from pykbroker.record.batch import BatchHeader

_EMPTY = IndexContent([], 0, [])


class BatchReader(Protocol):
    """Whoever wants to see the batches too; `path` of the segment."""

    def take(self, path: str, batch: FoundBatch) -> None: ...


class Place(NamedTuple):
    """A segment and what is known of it. `is_flushed`: recovery trusts it, so that it must be right as it is."""

    directory: str
    base_offset: int
    is_last: bool
    is_flushed: bool

    @property
    def severity(self) -> Severity:
        """Of flaws that recovery repairs."""
        return Severity.DEFECT if self.is_flushed else Severity.RECOVERY

    def path(self, suffix: str) -> str:
        return segment_path(self.directory, self.base_offset, suffix)


class Companions(NamedTuple):
    """What goes along with all segments of a log."""

    report: Report
    producers: ProducerCheck
    epochs: EpochCheck
    readers: list[BatchReader]
    may_be_compacted: bool


class SegmentCheck:
    """`end_offset` is the offset behind the batches seen so far, and goes on from segment to segment."""

    def __init__(self, companions: Companions, start_offset: int) -> None:
        self.end_offset = start_offset
        self.is_preallocated = False
        self.bytes_read = 0
        self._report = companions.report
        self._producers = companions.producers
        self._epochs = companions.epochs
        self._readers = companions.readers
        self._may_be_compacted = companions.may_be_compacted
        # After damage nobody knows which offset comes next.
        self._is_sure_of_next = True

    def run(self, place: Place) -> None:
        """Raises OSError."""
        offsets = OffsetIndexCheck(self._index(place, ".index"))
        times = TimeIndexCheck(self._index(place, ".timeindex"))
        self._producers.begin_segment()
        path = place.path(".log")
        with ByteFile(path) as file:
            for found in scan(file, place.base_offset):
                if isinstance(found, BadBytes):
                    self._tell_damage(place, path, found, file.size)
                    continue
                offsets.take(found)
                times.take(found)
                self._take(place, path, found)
            size = file.size
        self.bytes_read += size
        self._tell(place, ".index", "offset index", offsets.finish(size))
        self._tell(place, ".timeindex", "time index", times.finish(is_sealed=place.is_flushed))
        self._producers.check_transaction_index(place.path(".txnindex"), place.base_offset, place.severity)

    def at_next_segment(self, base_offset: int) -> None:
        """Where the next segment begins; what the last ones of this one told may be missing."""
        if self.end_offset < base_offset:
            if self._may_be_compacted:
                self._producers.is_exact = False
            else:
                self._producers.lose()

    def _take(self, place: Place, path: str, batch: FoundBatch) -> None:
        if batch.base_offset < self.end_offset:
            message = f"offset {batch.base_offset} is in the segment before too, which ends at {self.end_offset}"
            self._report.defect("offsets", path, message, position=batch.position, offset=batch.base_offset)
        elif batch.header is not None:
            self._look_for_gaps(path, batch, batch.header)
        self._is_sure_of_next = True
        self.end_offset = batch.last_offset + 1
        self._epochs.take(path, batch, place.severity)
        for reader in self._readers:
            reader.take(path, batch)
        try:
            self._producers.take(batch)
        except KafkaError as error:
            self._report.defect("record", path, told(error), position=batch.position, offset=batch.base_offset)
            self._producers.lose()

    def _look_for_gaps(self, path: str, batch: FoundBatch, header: BatchHeader) -> None:
        is_gap = batch.base_offset > self.end_offset
        if self._may_be_compacted:
            if is_gap or header.record_count <= header.last_offset_delta:
                self._producers.is_exact = False
            return
        if not is_gap:
            return
        if self._is_sure_of_next:
            message = f"no batch holds offsets {self.end_offset} to {batch.base_offset - 1}, of a topic not compacted"
            self._report.defect("gap", path, message, position=batch.position, offset=self.end_offset)
        self._producers.lose()

    def _tell_damage(self, place: Place, path: str, bad: BadBytes, size: int) -> None:
        is_tail = bad.position + bad.length == size and place.is_last
        message = bad.message
        severity = Severity.DEFECT
        if not place.is_flushed:
            message += f"; the next start cuts the log there, {size - bad.position} bytes"
            if is_tail:
                severity = Severity.RECOVERY
            else:
                message += ", and the good batches behind go too"
        elif bad.position + bad.length < size:
            message += f"; a good batch follows at byte {bad.position + bad.length}"
        offset = bad.offset if bad.offset >= 0 else self.end_offset
        self._report.add(severity, bad.kind, path, message, position=bad.position, offset=offset)
        self._producers.lose()
        self._is_sure_of_next = False

    def _index(self, place: Place, suffix: str) -> IndexContent:
        path = place.path(suffix)
        kind = "offset index" if suffix == ".index" else "time index"
        if not os.path.exists(path):
            self._report.add(place.severity, kind, path, "the file is missing")
            return _EMPTY
        data = Files().read_bytes(path)
        read = read_offset_index if suffix == ".index" else read_time_index
        content = read(data, place.base_offset)
        if content.preallocated and not (place.is_last and not place.is_flushed):
            position = len(data) - content.preallocated
            message = f"{content.preallocated} bytes of zeros behind the entries"
            self._report.add(place.severity, kind, path, message, position=position)
        self.is_preallocated |= bool(content.preallocated)
        return content

    def _tell(self, place: Place, suffix: str, kind: str, flaws: list[Flaw]) -> None:
        for flaw in flaws:
            self._report.add(place.severity, kind, place.path(suffix), flaw.message, position=flaw.position)
