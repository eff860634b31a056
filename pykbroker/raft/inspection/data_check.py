"""Checks whole data directories. The metadata log comes first: it tells which topics there are, and how kept."""

import os
from collections.abc import Sequence

from pykbroker.ids import METADATA_TOPIC_ID, TopicPartition
from pykbroker.log.files import Files
from pykbroker.log.inspection.cluster_facts import ClusterFacts, TopicFacts
from pykbroker.log.inspection.directory_check import DirectoryCheck
from pykbroker.log.inspection.partition_check import PartitionResult
from pykbroker.log.inspection.report import Report, Severity
from pykbroker.log.inspection.segment_check import BatchReader
from pykbroker.log.inspection.text_files import FlawedFile
from pykbroker.log.log_manager import METADATA_DIRECTORY
from pykbroker.metadata.image import MetadataImage
from pykbroker.raft import snapshot
from pykbroker.raft.inspection.metadata_replay import MetadataReplay
from pykbroker.raft.inspection.quorum_file import find_problem, path_of, read_quorum_state
from pykbroker.raft.inspection.snapshot_check import KIND, check_snapshot

_COMPACT = "compact"


class DataCheck:
    """All log directories of one node, or some of them. `is_deep`: every record of every topic is read too."""

    def __init__(
        self, paths: Sequence[str], report: Report, *, is_deep: bool = False, readers: Sequence[BatchReader] = ()
    ) -> None:
        """Raises OSError."""
        self._report = report
        self.directories = [DirectoryCheck(path, report, is_deep=is_deep, readers=list(readers)) for path in paths]
        self.metadata_result: PartitionResult | None = None
        self.facts: ClusterFacts | None = None

    @property
    def is_clean(self) -> bool:
        """A directory of its own for the metadata log never tells."""
        others = [each for each in self.directories if set(each.contents.partitions) != {METADATA_DIRECTORY}]
        return all(directory.is_clean for directory in others or self.directories)

    @property
    def logs(self) -> int:
        """How many were read."""
        return sum(len(directory.contents.partitions) for directory in self.directories)

    def run(self) -> None:
        """Raises OSError."""
        for directory in self.directories:
            directory.check_own_files()
            bootstrap = os.path.join(directory.path, snapshot.BOOTSTRAP_FILE)
            if os.path.exists(bootstrap):
                check_snapshot(bootstrap, None, self._report)
        self._compare_properties()
        for directory in self.directories:
            if METADATA_DIRECTORY in directory.contents.partitions:
                self._try_metadata(directory)
        for directory in self.directories:
            directory.check_clean_shutdown(self.facts)
            directory.check_partitions(self.facts)
        self._find_doubles()
        self._find_missing()

    def _node_id(self) -> int:
        found = [directory.properties["node.id"] for directory in self.directories if directory.properties]
        return int(found[0].value) if found else -1

    def _compare_properties(self) -> None:
        known: dict[str, str] = {}
        for directory in self.directories:
            for name in ("cluster.id", "node.id"):
                if name not in directory.properties:
                    continue
                found = directory.properties[name]
                if known.setdefault(name, found.value) != found.value:
                    message = f"{name} {found.value}, but another directory says {known[name]}"
                    self._tell_property(directory, name, message)

    def _tell_property(self, directory: DirectoryCheck, name: str, message: str) -> None:
        path = f"{directory.path}/meta.properties"
        self._report.defect("meta.properties", path, message, position=directory.properties[name].position)

    # The metadata log

    def _try_metadata(self, directory: DirectoryCheck) -> None:
        try:
            self._check_metadata(directory)
        except OSError as error:
            path = error.filename or f"{directory.path}/{METADATA_DIRECTORY}"
            self._report.defect("unreadable", path, error.strerror or str(error))

    def _check_metadata(self, directory: DirectoryCheck) -> None:
        folder = f"{directory.path}/{METADATA_DIRECTORY}"
        found = snapshot.find_snapshots(folder)
        images: dict[snapshot.SnapshotId, MetadataImage] = {}
        for snapshot_id in found:
            image = check_snapshot(f"{folder}/{snapshot_id.file_name}", snapshot_id, self._report)
            if image is not None:
                images[snapshot_id] = image
        replay = MetadataReplay(folder, images, self._report)
        # What a snapshot holds was flushed before.
        recovery_point = found[-1].end_offset if found else 0
        result = directory.check_metadata_partition(replay, recovery_point)
        self.metadata_result = result
        self._check_ends(directory, folder, found, result)
        self._check_quorum_state(directory, folder, result)
        image = replay.finish(result.end_offset)
        if image is None:
            self._report.defect("metadata log", folder, "it cannot be replayed: topics are not held against it")
            return
        self.facts = facts_of(image, self._node_id())
        self._compare_registration()

    def _check_ends(
        self, directory: DirectoryCheck, folder: str, found: list[snapshot.SnapshotId], result: PartitionResult
    ) -> None:
        if result.topic_id not in (None, METADATA_TOPIC_ID):
            message = f"topic id {result.topic_id}, the metadata log's is {METADATA_TOPIC_ID}"
            self._report.defect("partition metadata", f"{folder}/partition.metadata", message)
        newest = found[-1].end_offset if found else 0
        if newest < result.first_offset:
            message = f"the log begins at {result.first_offset}, and no snapshot reaches that far"
            self._report.defect("metadata log", folder, message, offset=newest)
        if newest > result.end_offset:
            severity = Severity.DEFECT if directory.is_clean else Severity.RECOVERY
            message = f"the snapshot is ahead of the log, which ends at {result.end_offset}"
            self._report.add(severity, KIND, f"{folder}/{found[-1].file_name}", message, offset=newest)

    def _check_quorum_state(self, directory: DirectoryCheck, folder: str, result: PartitionResult) -> None:
        path = path_of(folder)
        try:
            fields = read_quorum_state(Files().read_bytes(path))
        except FileNotFoundError:
            if result.end_offset > 0:
                self._report.defect("quorum state", path, "the file is missing")
            return
        except FlawedFile as error:
            self._report.defect("quorum state", path, str(error), position=error.flaw.position)
            return
        problem = find_problem(fields, log_epoch=result.epoch, node_id=self._node_id(), is_clean=directory.is_clean)
        if problem is not None:
            self._report.defect("quorum state", path, problem)

    def _compare_registration(self) -> None:
        registered = self.facts.directory_ids if self.facts is not None else ()
        if not registered:
            return
        for directory in self.directories:
            own = directory.properties.get("directory.id")
            if own is not None and own.value not in {str(each) for each in registered}:
                message = f"directory.id {own.value} is not among those that the broker registered"
                self._tell_property(directory, "directory.id", message)

    # All directories together

    def _find_doubles(self) -> None:
        places: dict[TopicPartition, str] = {}
        for directory in self.directories:
            for tp in directory.results:
                if tp in places:
                    path = f"{directory.path}/{tp}"
                    severity = Severity.DEFECT if self.is_clean else Severity.RECOVERY
                    self._report.add(severity, "double", path, f"the partition is in {places[tp]} too")
                places.setdefault(tp, directory.path)

    def _find_missing(self) -> None:
        """Only when all of the node's directories are here."""
        facts, node_id = self.facts, self._node_id()
        if facts is None or len(facts.directory_ids) != len(self.directories):
            return
        here = {tp for directory in self.directories for tp in (*directory.results, *directory.unread)}
        severity = Severity.DEFECT if self.is_clean else Severity.RECOVERY
        for name, topic in facts.topics.items():
            for partition, replicas in topic.replicas.items():
                tp = TopicPartition(name, partition)
                if node_id in replicas and tp not in here:
                    path = f"{self.directories[0].path}/{tp}"
                    message = "the metadata log knows this partition here, but there is no directory of it"
                    self._report.add(severity, "missing", path, message)


def facts_of(image: MetadataImage, node_id: int) -> ClusterFacts:
    defaults = {**image.configs.broker(""), **image.configs.broker(node_id)}
    default_policy = defaults.get("log.cleanup.policy", "")
    topics = {
        topic.name: TopicFacts(
            topic.id,
            _COMPACT in image.configs.topic(topic.name).get("cleanup.policy", default_policy),
            {index: tuple(partition.replicas) for index, partition in topic.partitions.items()},
        )
        for topic in image.topics
    }
    broker = image.brokers.get(node_id)
    return ClusterFacts(topics, broker.directories if broker else (), broker.epoch if broker else -1)
