"""Holds leader-epoch-checkpoint against the epochs that the batches bear."""

from bisect import bisect_right

from pykbroker.log.inspection.batches import FoundBatch
from pykbroker.log.inspection.report import Report, Severity
from pykbroker.log.inspection.text_files import EpochLine


class EpochCheck:
    """Tells each disagreement once, at the first batch that shows it."""

    def __init__(self, path: str, entries: list[EpochLine], log_start_offset: int, report: Report) -> None:
        self.latest_of_batches = -1
        self._path = path
        self._entries = entries
        self._starts = [entry.start_offset for entry in entries]
        self._log_start_offset = log_start_offset
        self._report = report
        self._told: set[tuple[int, int]] = set()

    def take(self, segment_path: str, batch: FoundBatch, severity: Severity) -> None:
        epoch = batch.header.partition_leader_epoch if batch.header is not None else -1
        if epoch < 0:
            return
        if epoch < self.latest_of_batches:
            message = f"leader epoch {epoch} behind a batch of epoch {self.latest_of_batches}"
            self._tell(segment_path, batch, epoch, -2, message, severity)
        self.latest_of_batches = max(self.latest_of_batches, epoch)
        index = bisect_right(self._starts, batch.base_offset) - 1
        known = self._entries[index].epoch if index >= 0 else -1
        if known == epoch or batch.last_offset < self._log_start_offset:
            return
        if known == -1 and self._entries and batch.base_offset < self._log_start_offset:
            return  # the batch reaches over the log start offset, where the checkpoint begins
        if known == -1:
            self._tell_missing(batch, epoch, severity)
            return
        message = f"the batch bears leader epoch {epoch}, {self._path.rpartition('/')[2]} has epoch {known} there"
        self._tell(segment_path, batch, epoch, known, message, severity)

    def _tell(self, path: str, batch: FoundBatch, epoch: int, known: int, message: str, severity: Severity) -> None:
        if (epoch, known) not in self._told:
            self._told.add((epoch, known))
            self._report.add(severity, "leader epoch", path, message, position=batch.position, offset=batch.base_offset)

    def _tell_missing(self, batch: FoundBatch, epoch: int, severity: Severity) -> None:
        if (epoch, -1) not in self._told:
            self._told.add((epoch, -1))
            message = f"no epoch there, where the log has a batch of leader epoch {epoch}"
            self._report.add(severity, "leader epoch", self._path, message, offset=batch.base_offset)

    def finish(self, end_offset: int, severity: Severity) -> None:
        """Epochs begin within the log: a leader that wrote nothing begins at its end."""
        for entry in self._entries:
            if entry.start_offset > end_offset:
                message = f"epoch {entry.epoch} begins at {entry.start_offset}, the log ends at {end_offset}"
                self._report.add(severity, "leader epoch", self._path, message, position=entry.position)
        first = self._entries[0] if self._entries else None
        if first is not None and first.start_offset < self._log_start_offset <= end_offset:
            message = (
                f"the first epoch begins at {first.start_offset}, the log at {self._log_start_offset} by its checkpoint"
            )
            self._report.add(severity, "leader epoch", self._path, message, position=first.position)
