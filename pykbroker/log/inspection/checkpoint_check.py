"""The checkpoints of a log directory against the logs: recovery points, high watermarks, start and cleaner offsets."""

from collections.abc import Mapping

from pykbroker.ids import TopicPartition
from pykbroker.log.checkpoints import CLEANER_OFFSET, HIGH_WATERMARK, LOG_START_OFFSET, RECOVERY_POINT
from pykbroker.log.files import Files
from pykbroker.log.inspection.cluster_facts import ClusterFacts
from pykbroker.log.inspection.partition_check import PartitionResult
from pykbroker.log.inspection.report import Report, Severity
from pykbroker.log.inspection.text_files import FlawedFile, OffsetLine, parse_offset_line, read_checkpoint

_NAMES = (RECOVERY_POINT, HIGH_WATERMARK, LOG_START_OFFSET, CLEANER_OFFSET)
# These name every partition; the other two only those that need it.
_COMPLETE = (RECOVERY_POINT, HIGH_WATERMARK)
_MEANING = {
    RECOVERY_POINT: "recovery point",
    HIGH_WATERMARK: "high watermark",
    LOG_START_OFFSET: "log start offset",
    CLEANER_OFFSET: "cleaner offset",
}
Lines = dict[TopicPartition, OffsetLine]


class Checkpoints:
    """Read when made. `is_clean`: they were written at the end of an orderly stop, and must say the truth exactly."""

    def __init__(self, directory: str, report: Report, *, is_clean: bool) -> None:
        """Raises OSError."""
        self._directory = directory
        self._report = report
        self._is_clean = is_clean
        self._missing: set[str] = set()
        self._files: dict[str, Lines] = {name: self._read(name) for name in _NAMES}

    def recovery_point(self, tp: TopicPartition) -> int:
        return self._offset(RECOVERY_POINT, tp)

    def log_start_offset(self, tp: TopicPartition) -> int:
        return self._offset(LOG_START_OFFSET, tp)

    def is_cleaned(self, tp: TopicPartition) -> bool:
        return tp in self._files[CLEANER_OFFSET]

    def _offset(self, name: str, tp: TopicPartition) -> int:
        line = self._files[name].get(tp)
        return 0 if line is None else line.offset

    def _read(self, name: str) -> Lines:
        path = f"{self._directory}/{name}"
        try:
            lines = read_checkpoint(Files().read_bytes(path), parse_offset_line)
        except FileNotFoundError:
            self._missing.add(name)
            return {}
        except FlawedFile as error:
            self._missing.add(name)
            self._report.defect("checkpoint", path, str(error), position=error.flaw.position)
            return {}
        found: Lines = {}
        for line in lines:
            if line.topic_partition in found:
                self._tell(Severity.DEFECT, name, line, "is named twice")
            found[line.topic_partition] = line
        return found

    def compare(
        self,
        results: Mapping[TopicPartition, PartitionResult],
        others: set[TopicPartition],
        facts: ClusterFacts | None,
    ) -> None:
        """Once all logs were read. `others`: partitions that are being copied here, or could not be read."""
        for name, lines in self._files.items():
            for tp, line in lines.items():
                result = results.get(tp)
                if result is not None:
                    self._compare(name, line, result, facts)
                elif tp not in others:
                    severity = Severity.DEFECT if self._is_clean else Severity.NOTE
                    self._tell(severity, name, line, "has no directory here")
        for name in _COMPLETE:
            self._find_missing(name, results)

    def _find_missing(self, name: str, results: Mapping[TopicPartition, PartitionResult]) -> None:
        severity = Severity.DEFECT if self._is_clean else Severity.RECOVERY
        path = f"{self._directory}/{name}"
        if name in self._missing:
            if results:
                self._report.add(severity, "checkpoint", path, "there is no such file, or no good one")
            return
        if self._is_clean:
            for tp in sorted(results.keys() - self._files[name].keys()):
                self._report.defect("checkpoint", path, f"{tp} is not named")

    def _compare(self, name: str, line: OffsetLine, result: PartitionResult, facts: ClusterFacts | None) -> None:
        told = f"has {_MEANING[name]} {line.offset}"
        end = result.end_offset
        if line.offset > end or line.offset < 0:
            # What lies below the recovery point was flushed: no crash can take it.
            is_loss = self._is_clean or name in (RECOVERY_POINT, LOG_START_OFFSET)
            severity = Severity.DEFECT if is_loss else Severity.RECOVERY
            self._tell(severity, name, line, f"{told}, but the log ends at {end}")
        elif self._is_clean and line.offset != end and self._must_be_the_end(name, line, facts):
            self._tell(Severity.DEFECT, name, line, f"{told}, but the log, stopped in order, ends at {end}")
        elif self._is_clean and name == HIGH_WATERMARK and line.offset < result.first_offset:
            self._tell(Severity.DEFECT, name, line, f"{told}, but the log begins at {result.first_offset}")

    @staticmethod
    def _must_be_the_end(name: str, line: OffsetLine, facts: ClusterFacts | None) -> bool:
        """Everything is flushed at the end; and where no other broker has a replica, everything is committed."""
        if name == RECOVERY_POINT:
            return True
        tp = line.topic_partition
        topic = facts.topics.get(tp.topic) if facts is not None else None
        return name == HIGH_WATERMARK and topic is not None and len(topic.replicas.get(tp.partition, ())) == 1

    def _tell(self, severity: Severity, name: str, line: OffsetLine, message: str) -> None:
        path = f"{self._directory}/{name}"
        self._report.add(severity, "checkpoint", path, f"{line.topic_partition} {message}", position=line.position)
