"""One log directory: its own files, and every partition in it. The metadata log's other files are raft.inspection's."""

import os
from typing import NamedTuple

from pykbroker.ids import TopicPartition
from pykbroker.log import checkpoints, log_dir
from pykbroker.log.files import Files
from pykbroker.log.inspection.checkpoint_check import Checkpoints
from pykbroker.log.inspection.cluster_facts import ClusterFacts
from pykbroker.log.inspection.partition_check import PartitionPlace, PartitionResult, check_partition
from pykbroker.log.inspection.record_check import RecordCheck
from pykbroker.log.inspection.report import Report, Severity
from pykbroker.log.inspection.segment_check import BatchReader
from pykbroker.log.inspection.text_files import FlawedFile, Property, read_clean_shutdown, read_meta_properties
from pykbroker.log.log_manager import METADATA_DIRECTORY

_ROOT_FILES = {
    log_dir.META_PROPERTIES,
    log_dir.CLEAN_SHUTDOWN,
    log_dir.LOCK,
    checkpoints.RECOVERY_POINT,
    checkpoints.HIGH_WATERMARK,
    checkpoints.LOG_START_OFFSET,
    checkpoints.CLEANER_OFFSET,
    "bootstrap.checkpoint",
}


class Contents(NamedTuple):
    """Names in the directory, sorted. `futures`: copies under way from another directory."""

    partitions: dict[str, TopicPartition]
    futures: dict[str, TopicPartition]


class DirectoryCheck:
    """`is_clean`: the broker was stopped in order, so that everything must be right as it is."""

    def __init__(self, path: str, report: Report, *, is_deep: bool, readers: list[BatchReader]) -> None:
        self.path = path
        self.is_clean = os.path.exists(f"{path}/{log_dir.CLEAN_SHUTDOWN}")
        self.results: dict[TopicPartition, PartitionResult] = {}
        # Partitions that the disk refused to read.
        self.unread: set[TopicPartition] = set()
        self.properties: dict[str, Property] = {}
        self._report = report
        self._is_deep = is_deep
        self._readers = readers
        self.contents = _contents(path)
        self._checkpoints = Checkpoints(path, report, is_clean=self.is_clean)

    def check_own_files(self) -> None:
        """Raises OSError."""
        self.properties = self._meta_properties()
        for name in sorted(os.listdir(self.path)):
            path = f"{self.path}/{name}"
            if log_dir.is_doomed(name):
                self._report.note("leftover", path, "of a deleted topic; the next start removes it")
            elif name.endswith(log_dir.STRAY_SUFFIX):
                self._report.note("leftover", path, "put aside, for the metadata log did not know it; yours to remove")
            elif name in self.contents.futures:
                self._report.note("leftover", path, "a copy under way between directories; it begins anew")
            elif name.endswith(".tmp"):
                self._report.note("leftover", path, "left by an interrupted write; nobody reads it")
            elif name not in self.contents.partitions and name not in _ROOT_FILES:
                self._report.note("unknown file", path, "nothing that Kafka writes here")

    def _meta_properties(self) -> dict[str, Property]:
        path = f"{self.path}/{log_dir.META_PROPERTIES}"
        try:
            return read_meta_properties(Files().read_bytes(path))
        except FileNotFoundError:
            self._report.defect("meta.properties", path, "the file is missing: the broker would take this for fresh")
        except FlawedFile as error:
            self._report.defect("meta.properties", path, str(error), position=error.flaw.position)
        return {}

    def check_clean_shutdown(self, facts: ClusterFacts | None) -> None:
        path = f"{self.path}/{log_dir.CLEAN_SHUTDOWN}"
        if not self.is_clean:
            return
        try:
            epoch = read_clean_shutdown(Files().read_bytes(path))
        except FlawedFile as error:
            self._report.defect("clean shutdown", path, str(error), position=error.flaw.position)
            return
        if facts is not None and -1 not in (epoch, facts.broker_epoch) and epoch != facts.broker_epoch:
            message = f"broker epoch {epoch}, but the broker registered with epoch {facts.broker_epoch}"
            self._report.defect("clean shutdown", path, message)

    def check_metadata_partition(self, replay: BatchReader, recovery_point: int) -> PartitionResult:
        """Raises OSError."""
        tp = self.contents.partitions[METADATA_DIRECTORY]
        place = PartitionPlace(
            f"{self.path}/{METADATA_DIRECTORY}", tp, self.is_clean, recovery_point, 0, may_be_compacted=False
        )
        return check_partition(place, self._report, [*self._readers, replay])

    def check_partitions(self, facts: ClusterFacts | None) -> None:
        """All but the metadata log. What the disk refuses to read is a finding."""
        for name, tp in self.contents.partitions.items():
            if name != METADATA_DIRECTORY:
                result = self._try(name, tp, facts, is_clean=self.is_clean)
                if result is not None:
                    self.results[tp] = result
        for name, tp in self.contents.futures.items():
            self._try(name, tp, None, is_clean=False)
        others = self.unread.union(self.contents.futures.values())
        self._checkpoints.compare(self.results, others, facts)

    def _try(
        self, name: str, tp: TopicPartition, facts: ClusterFacts | None, *, is_clean: bool
    ) -> PartitionResult | None:
        try:
            return self._check(name, tp, facts, is_clean=is_clean)
        except OSError as error:
            path = error.filename or f"{self.path}/{name}"
            self._report.defect("unreadable", path, error.strerror or str(error))
            self.unread.add(tp)
            return None

    def _check(self, name: str, tp: TopicPartition, facts: ClusterFacts | None, *, is_clean: bool) -> PartitionResult:
        is_compacted = self._checkpoints.is_cleaned(tp)
        topic = facts.topics.get(tp.topic) if facts is not None else None
        if topic is not None:
            is_compacted |= topic.is_compacted
        place = PartitionPlace(
            f"{self.path}/{name}",
            tp,
            is_clean,
            self._checkpoints.recovery_point(tp),
            self._checkpoints.log_start_offset(tp),
            may_be_compacted=is_compacted,
        )
        records = RecordCheck(tp.topic, self._report, is_deep=self._is_deep)
        result = check_partition(place, self._report, [*self._readers, records])
        if facts is not None:
            self._compare(place, result, facts)
        return result

    def _compare(self, place: PartitionPlace, result: PartitionResult, facts: ClusterFacts) -> None:
        tp = place.topic_partition
        topic = facts.topics.get(tp.topic)
        if topic is None or tp.partition not in topic.replicas:
            severity = Severity.DEFECT if self.is_clean else Severity.RECOVERY
            message = "the metadata log does not know this partition: the next start puts it aside"
            self._report.add(severity, "stray", place.directory, message)
        elif result.topic_id is not None and result.topic_id != topic.topic_id:
            message = f"topic id {result.topic_id}, but the metadata log has {topic.topic_id} for {tp.topic}"
            self._report.defect("partition metadata", f"{place.directory}/partition.metadata", message)


def _contents(path: str) -> Contents:
    partitions, futures = {}, {}
    for name in sorted(os.listdir(path)):
        if not os.path.isdir(f"{path}/{name}"):
            continue
        tp = log_dir.parse_partition_directory(name)
        if tp is not None:
            partitions[name] = tp
        future = log_dir.parse_future_directory(name)
        if future is not None:
            futures[name] = future
    return Contents(partitions, futures)
