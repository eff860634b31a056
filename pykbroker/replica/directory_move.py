"""Replicas and their log directories: which to move where, and what the controller does not know (KIP-113, KIP-858).

Decisions only; directory_loop carries them out. Kafka: ReplicaManager.alterReplicaLogDirs, AssignmentsManager.
"""

from collections.abc import Callable
from logging import getLogger
from typing import TYPE_CHECKING

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicIdPartition, TopicPartition, Uuid
from pykbroker.log.log_copy import CopyError, LogCopy
from pykbroker.log.log_dir import is_too_long_for_a_future
from pykbroker.log.log_manager import LogDirectory
from pykbroker.metadata.features import allows_directories
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.metadata.delta import MetadataDelta
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.replica.partition import Partition
    from pykbroker.replica.replica_manager import ReplicaManager

logger = getLogger(__name__)
# So many wishes for partitions that do not exist yet are remembered; Kafka remembers all that anybody ever asks.
MAX_PREFERRED = 10_000


class DirectoryMove:
    """One replica on its way into another directory; `copy` once it has begun."""

    __slots__ = ("copy", "partition", "target")

    def __init__(self, partition: "Partition", target: LogDirectory) -> None:
        self.partition = partition
        self.target = target
        self.copy: LogCopy | None = None


class ReplicaDirectories:
    """A subscriber of the metadata. `on_change` is called when there is something to carry out."""

    def __init__(self, replicas: "ReplicaManager") -> None:
        self.on_change: Callable[[], None] = _nobody
        self.moves: dict[TopicPartition, DirectoryMove] = {}
        # Where the cluster may think otherwise: replicas of which it has decided something, or that were to move.
        self.unsure: set[TopicPartition] = set()
        self._replicas = replicas
        self._logs = replicas.logs

    # What clients ask

    def alter(self, tp: TopicPartition, path: str) -> None:
        """The replica shall lie in `path`: it moves there, or is made there once it is this broker's.

        Raises KafkaError: INVALID_TOPIC_EXCEPTION, LOG_DIR_NOT_FOUND, KAFKA_STORAGE_ERROR, REPLICA_NOT_AVAILABLE,
        UNKNOWN_TOPIC_OR_PARTITION.
        """
        if is_too_long_for_a_future(tp):
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, "The topic name is too long.")
        target = self._directory(path)
        move = self.moves.get(tp)
        if move is not None and move.target is not target:
            self.cancel(move)
            move = None
        partition = self._replicas.find(*tp)
        if partition is None:
            self._prefer(tp, target)
            raise self._missing(tp)
        if move is None and self._logs.directory_of(tp) is not target:
            self._check_all_online()
            self.begin(partition, target)

    def _prefer(self, tp: TopicPartition, target: LogDirectory) -> None:
        preferred = self._logs.preferred
        preferred.pop(tp, None)
        if len(preferred) >= MAX_PREFERRED:
            del preferred[next(iter(preferred))]
        preferred[tp] = target

    def _directory(self, path: str) -> LogDirectory:
        for directory in self._logs.directories:
            if directory.path == path:
                if not directory.is_online:
                    raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"Log directory {path} is offline")
                return directory
        raise KafkaError(ErrorCode.LOG_DIR_NOT_FOUND, f"Log directory {path} is not found in the config.")

    def _missing(self, tp: TopicPartition) -> KafkaError:
        error = self._replicas.missing(*tp)
        if error.code == ErrorCode.NOT_LEADER_OR_FOLLOWER:
            return KafkaError(ErrorCode.REPLICA_NOT_AVAILABLE, error.message)
        return error

    def _check_all_online(self) -> None:
        """An offline directory may hold a copy of the partition already."""
        offline = [directory.path for directory in self._logs.directories if not directory.is_online]
        if offline:
            raise KafkaError(
                ErrorCode.KAFKA_STORAGE_ERROR, f"Can not create log because log directories {offline} are offline"
            )

    # Moves

    def begin(self, partition: "Partition", target: LogDirectory) -> None:
        tp = partition.topic_partition
        logger.info("Moving %s to %s", tp, target.path)
        self.moves[tp] = DirectoryMove(partition, target)
        self.on_change()

    def resume(self) -> None:
        """Begins what the last run of the broker left unfinished anew."""
        for tp, target in self._logs.interrupted_copies.items():
            partition = self._replicas.find(*tp)
            if partition is not None and target.is_online:
                self.begin(partition, target)
        self._logs.interrupted_copies.clear()

    def start(self, move: DirectoryMove) -> None:
        """Raises CopyError."""
        try:
            move.copy = self._logs.begin_copy(move.partition.topic_partition, move.target)
        except OSError as error:
            raise CopyError(f"{move.target.path}/", error) from error

    def next_move(self) -> DirectoryMove | None:
        return next(iter(self.moves.values()), None)

    def is_wanted(self, move: DirectoryMove) -> bool:
        """Not cancelled, and the partition, its log and the directory are still there."""
        tp = move.partition.topic_partition
        if self.moves.get(tp) is not move or self._replicas.find(*tp) is not move.partition:
            return False
        return (move.copy is None or move.copy.log is move.partition.log) and move.target.is_online

    def cancel(self, move: DirectoryMove) -> None:
        """What was copied goes."""
        tp = move.partition.topic_partition
        if self.moves.get(tp) is move:
            self._end(tp)
        if move.copy is not None and move.target.is_online:
            self._logs.doom_path(move.copy.directory, tp, move.target)
            move.copy = None

    def fail(self, move: DirectoryMove, error: CopyError) -> None:
        """A directory whose disk fails goes offline, on whichever side it is."""
        if not self.is_wanted(move):
            self.cancel(move)  # its files went while they were copied
            return
        logger.error("Moving %s to %s failed: %s", move.partition.topic_partition, move.target.path, error)
        if isinstance(error.error, OSError):
            for directory in self._logs.directories:
                if error.path.startswith(f"{directory.path}/"):
                    self._logs.fail(directory, error.error)
        self.cancel(move)

    def finish(self, move: DirectoryMove) -> None:
        """The copy takes the log's place, right after its next_round() was None. Raises CopyError."""
        assert move.copy is not None
        partition = move.partition
        partition.log = self._logs.replace(move.copy, move.target)
        self._end(partition.topic_partition)
        logger.info("Moved %s to %s", partition.topic_partition, move.target.path)
        partition.wake_all()

    def _end(self, tp: TopicPartition) -> None:
        del self.moves[tp]
        self.unsure.add(tp)
        self.on_change()

    # What the controller does not know

    def on_metadata_update(self, delta: "MetadataDelta", image: "MetadataImage") -> None:
        """After the replicas, which say of what they are unsure."""
        before, now = delta.base.features.metadata_version, image.features.metadata_version
        if allows_directories(now) and not allows_directories(before):
            self.unsure.update(partition.topic_partition for partition in self._replicas)
        if self.unsure:
            self.on_change()

    def misplaced(self, image: "MetadataImage") -> dict[Uuid, list[TopicIdPartition]]:
        """Replicas by the directory they lie in, where the cluster thinks otherwise and none is moving. Those of which
        it knows are looked at no more. A directory that this broker has not registered yet would be taken for lost."""
        found: dict[Uuid, list[TopicIdPartition]] = {}
        unsure, self.unsure = self.unsure, set()
        if not allows_directories(image.features.metadata_version):
            return found
        for tp in unsure:
            partition, directory = self._replicas.find(*tp), self._logs.directory_of(tp)
            state = image.topics.partition(*tp)
            if partition is None or directory is None or state is None or tp in self.moves:
                continue
            if state.directory(partition.node_id) == directory.id:
                continue
            self.unsure.add(tp)
            own = image.brokers.get(partition.node_id)
            if own is not None and directory.id in own.directories:
                found.setdefault(directory.id, []).append(TopicIdPartition(partition.topic_id, *tp))
        return found


def _nobody() -> None:
    return
