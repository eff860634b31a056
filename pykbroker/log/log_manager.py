"""All logs of a broker: load, find, create, delete; checkpoints; directories that fail. (LogManager)"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from logging import getLogger

from pykbroker.clock import Clock
from pykbroker.errors import KafkaError
from pykbroker.ids import DIRECTORY_UNASSIGNED, TopicPartition, Uuid
from pykbroker.log import checkpoints, log_dir
from pykbroker.log.checkpoints import CorruptCheckpoint
from pykbroker.log.files import Files
from pykbroker.log.log_config import LogConfig
from pykbroker.log.log_copy import CopyError, LogCopy
from pykbroker.log.log_dir import DirectoryLock, LogDirError, MetaProperties
from pykbroker.log.offset_checkpoints import OffsetCheckpoints
from pykbroker.log.partition_metadata import CorruptPartitionMetadata, write_partition_metadata
from pykbroker.log.recovery import create_log, load_log
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode

logger = getLogger(__name__)
METADATA_DIRECTORY = "__cluster_metadata-0"


def _unassigned(_: TopicPartition) -> Uuid:
    return DIRECTORY_UNASSIGNED


class LogDirectory:
    """One of log.dirs, open and locked."""

    def __init__(
        self, path: str, lock: DirectoryLock, properties: MetaProperties, clean_epoch: int | None, files: Files
    ) -> None:
        self.path = path
        self.lock = lock
        self.id = properties.directory_id
        self.cluster_id = properties.cluster_id
        # The broker epoch of the last clean stop, None when it was not clean.
        self.clean_epoch = clean_epoch
        self.is_online = True
        # Logs were renamed out of the way, and a power cut may bring them back.
        self.has_unsynced_names = False
        self.checkpoints = OffsetCheckpoints(files, path)


class LogManager:
    """`on_directory_failure(path)` is called once when a directory goes offline."""

    def __init__(
        self,
        paths: Sequence[str],
        *,
        clock: Clock,
        files: Files | None = None,
        producer_id_expiration_ms: int = 86_400_000,
    ) -> None:
        self.files = files if files is not None else Files()
        self.clock = clock
        self.producer_id_expiration_ms = producer_id_expiration_ms
        self.directories: list[LogDirectory] = []
        self.on_directory_failure: Callable[[str], None] = _ignore
        # Renamed directories of deleted logs: (monotonic seconds when to remove, path).
        self.doomed_directories: list[tuple[float, str]] = []
        # Where logs shall be made that do not exist yet (AlterReplicaLogDirs).
        self.preferred: dict[TopicPartition, LogDirectory] = {}
        # Copies that were under way when the broker stopped: they begin anew.
        self.interrupted_copies: dict[TopicPartition, LogDirectory] = {}
        # Within truncations(): whose checkpoint is to be written, in order.
        self._truncated_in: dict[LogDirectory, None] | None = None
        self._paths = list(paths)
        self._logs: dict[TopicPartition, UnifiedLog] = {}
        self._directory_of: dict[TopicPartition, LogDirectory] = {}

    # Directories

    def open(self, *, node_id: int, cluster_id: str | None, new_cluster_id: Callable[[], str]) -> str:
        """Makes, formats and locks the directories; returns the cluster id. Raises LogDirError, OSError.

        A fresh directory gets `cluster_id`, else that of the others, else `new_cluster_id()`.
        """
        for path in self._paths:
            log_dir.prepare(path)
        locks = {path: DirectoryLock(path) for path in self._paths}
        found = {path: log_dir.read_meta_properties(self.files, path) for path in self._paths}
        known = next((properties.cluster_id for properties in found.values() if properties), None)
        chosen = known or cluster_id or new_cluster_id()
        for path, properties in found.items():
            if properties is None:
                properties = MetaProperties(chosen, node_id, Uuid.random())
                log_dir.write_meta_properties(self.files, path, properties)
            if properties.node_id != node_id:
                raise LogDirError(
                    f"the data directory {path} belongs to node {properties.node_id}, not {node_id}: set "
                    f"node.id={properties.node_id} or choose another directory"
                )
            if properties.cluster_id != chosen or (cluster_id and properties.cluster_id != cluster_id):
                raise LogDirError(
                    f"the data directory {path} belongs to cluster {properties.cluster_id}, not {cluster_id or chosen}"
                )
            clean_epoch = log_dir.read_clean_shutdown(self.files, path)
            self.directories.append(LogDirectory(path, locks[path], properties, clean_epoch, self.files))
        return chosen

    def known_cluster_id(self) -> str | None:
        """Of directories not opened yet; None when all of them are fresh. Raises LogDirError, OSError."""
        found = (log_dir.read_meta_properties(self.files, path) for path in self._paths)
        return next((properties.cluster_id for properties in found if properties), None)

    @property
    def directory_ids(self) -> list[Uuid]:
        return [directory.id for directory in self.directories if directory.is_online]

    @property
    def offline_directory_ids(self) -> list[Uuid]:
        return [directory.id for directory in self.directories if not directory.is_online]

    def previous_broker_epoch(self) -> int:
        """The broker epoch of the last clean stop of all directories, else -1 (KIP-966)."""
        epochs = {directory.clean_epoch for directory in self.directories}
        epoch = epochs.pop() if len(epochs) == 1 else None
        return -1 if epoch is None else epoch

    def load(
        self, config_for: Callable[[str], LogConfig], assigned: Callable[[TopicPartition], Uuid] = _unassigned
    ) -> None:
        """Opens every log, recovering what was not closed cleanly. A directory that fails goes offline.

        `assigned` is the directory that the cluster knows for a partition: it decides where a move between directories
        was interrupted.
        """
        for directory in self.directories:
            try:
                # Before loading: a crash in the middle of it is no clean stop (KAFKA-10471).
                log_dir.remove_clean_shutdown(self.files, directory.path)
                self._load_directory(directory, config_for, assigned)
            except (OSError, KafkaError, CorruptCheckpoint, CorruptPartitionMetadata) as error:
                self.fail(directory, error)
        if not any(directory.is_online for directory in self.directories):
            raise LogDirError("none of the data directories can be used: see the errors above")
        for directory in self.directories:
            try:
                if directory.is_online:
                    self._load_futures(directory, config_for, assigned)
            except (OSError, KafkaError, CorruptCheckpoint, CorruptPartitionMetadata) as error:
                self.fail(directory, error)

    def _load_directory(
        self,
        directory: LogDirectory,
        config_for: Callable[[str], LogConfig],
        assigned: Callable[[TopicPartition], Uuid],
    ) -> None:
        recovery_points = directory.checkpoints.read(checkpoints.RECOVERY_POINT)
        start_offsets = directory.checkpoints.read(checkpoints.LOG_START_OFFSET)
        high_watermarks = directory.checkpoints.read(checkpoints.HIGH_WATERMARK)
        cleaned = directory.checkpoints.read(checkpoints.CLEANER_OFFSET)
        for name in sorted(os.listdir(directory.path)):
            path = os.path.join(directory.path, name)
            if log_dir.is_doomed(name):
                self.doomed_directories.append((self.clock.monotonic(), path))
                continue
            tp = log_dir.parse_partition_directory(name)
            if tp is None or name == METADATA_DIRECTORY or not os.path.isdir(path):
                continue
            log = self._open_log(
                directory, path, tp, config_for(tp.topic), recovery_points.get(tp, 0), start_offsets.get(tp, 0)
            )
            log.update_high_watermark(high_watermarks.get(tp, log.log_start_offset))
            log.cleaning.first_dirty_offset = cleaned.get(tp)
            self._settle(tp, log, directory, assigned(tp))

    def _settle(self, tp: TopicPartition, log: UnifiedLog, directory: LogDirectory, assigned: Uuid) -> None:
        """A move that was cut off at its last step left both logs: the one where the partition is assigned is right,
        and without an assignment the longer one."""
        other, place = self._logs.get(tp), self._directory_of.get(tp)
        if other is not None and place is not None:
            is_right = directory.id == assigned
            if place.id == assigned or (not is_right and other.log_end_offset >= log.log_end_offset):
                self.doom(log, directory)
                return
            self.doom(other, place)
        self._logs[tp] = log
        self._directory_of[tp] = directory

    def _load_futures(
        self,
        directory: LogDirectory,
        config_for: Callable[[str], LogConfig],
        assigned: Callable[[TopicPartition], Uuid],
    ) -> None:
        """Unfinished copies begin anew, for the log went on without them. One that has no log beside it any more, and
        is where the partition is assigned, is the log (recoverAbandonedFutureLogs)."""
        start_offsets = directory.checkpoints.read(checkpoints.LOG_START_OFFSET)
        for name in sorted(os.listdir(directory.path)):
            tp = log_dir.parse_future_directory(name)
            if tp is None:
                continue
            path = os.path.join(directory.path, name)
            if tp in self._logs:
                if self._directory_of[tp] is not directory:
                    self.interrupted_copies[tp] = directory
                self.doom_path(path, tp, directory)
            elif assigned(tp) == directory.id:
                final = os.path.join(directory.path, str(tp))
                self.files.rename(path, final)
                start = start_offsets.get(tp, 0)
                self._logs[tp] = self._open_log(directory, final, tp, config_for(tp.topic), 0, start, was_clean=False)
                self._directory_of[tp] = directory
            else:
                self.doom_path(path, tp, directory)

    def _open_log(
        self,
        directory: LogDirectory,
        path: str,
        tp: TopicPartition,
        config: LogConfig,
        recovery_point: int,
        start_offset: int,
        *,
        was_clean: bool | None = None,
    ) -> UnifiedLog:
        log = load_log(
            directory=path,
            topic_partition=tp,
            config=config,
            files=self.files,
            clock=self.clock,
            was_clean=directory.clean_epoch is not None if was_clean is None else was_clean,
            recovery_point=recovery_point,
            log_start_offset=start_offset,
            producer_id_expiration_ms=self.producer_id_expiration_ms,
        )
        log.on_io_error = lambda error: self.fail(directory, error)
        return log

    def fail(self, directory: LogDirectory, error: Exception) -> None:
        """Takes a directory offline: its logs are gone until the broker starts again (LogDirFailureChannel)."""
        if not directory.is_online:
            return
        directory.is_online = False
        logger.error("The data directory %s failed and goes offline: %s", directory.path, error)
        for tp in [tp for tp, place in self._directory_of.items() if place is directory]:
            self._logs.pop(tp).cleaning.void()
        self.on_directory_failure(directory.path)

    # Logs

    def get(self, tp: TopicPartition) -> UnifiedLog | None:
        return self._logs.get(tp)

    def all(self) -> Iterator[UnifiedLog]:
        """A snapshot of all online logs: they may come and go meanwhile."""
        return iter(list(self._logs.values()))

    def is_offline(self, tp: TopicPartition) -> bool:
        place = self._directory_of.get(tp)
        return place is not None and not place.is_online

    def directory_of(self, tp: TopicPartition) -> LogDirectory | None:
        return self._directory_of.get(tp)

    def create(
        self, tp: TopicPartition, topic_id: Uuid, config: LogConfig, assigned: Uuid = DIRECTORY_UNASSIGNED
    ) -> UnifiedLog:
        """The log of a partition. Unless it exists it is made in the directory `assigned`, else in the preferred one,
        else in the online one with the fewest logs.

        Raises KafkaError KAFKA_STORAGE_ERROR, and INCONSISTENT_TOPIC_ID when the directory is another topic's.
        """
        log = self._logs.get(tp)
        if log is not None:
            return self._with_topic_id(log, topic_id)
        if self.is_offline(tp):
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"The log directory of partition {tp} is offline")
        directory = self._place(tp, assigned)
        path = os.path.join(directory.path, str(tp))
        try:
            self._forget_earlier(tp, directory)
            log = self._create_log(directory, path, tp, topic_id, config)
        except (OSError, CorruptCheckpoint, CorruptPartitionMetadata) as error:
            self.fail(directory, error)
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"Error while creating log for {tp}: {error}") from error
        self._logs[tp] = log
        self._directory_of[tp] = directory
        self.preferred.pop(tp, None)
        return log

    def _create_log(
        self, directory: LogDirectory, path: str, tp: TopicPartition, topic_id: Uuid, config: LogConfig
    ) -> UnifiedLog:
        """Raises OSError, CorruptCheckpoint, CorruptPartitionMetadata: the last two where there is a directory."""
        if not self.files.make_directory(path):
            write_partition_metadata(self.files, path, topic_id)
            return self._open_log(directory, path, tp, config, 0, 0)
        log = create_log(
            directory=path,
            topic_partition=tp,
            topic_id=topic_id,
            config=config,
            files=self.files,
            clock=self.clock,
            producer_id_expiration_ms=self.producer_id_expiration_ms,
        )
        log.on_io_error = lambda error: self.fail(directory, error)
        return log

    def _forget_earlier(self, tp: TopicPartition, directory: LogDirectory) -> None:
        """Nothing of an earlier log of this name, or of one that was moved away, must count for the new one: neither
        its files, which a power cut could bring back, nor its offsets in the checkpoints. Raises OSError."""
        if directory.has_unsynced_names:
            self.sync_names(directory)
        for name in directory.checkpoints.naming(tp):
            self._write_checkpoint(directory, name)

    def _place(self, tp: TopicPartition, assigned: Uuid) -> LogDirectory:
        for directory in self.directories:
            if directory.id == assigned:
                if not directory.is_online:
                    raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"The log directory of partition {tp} is offline")
                return directory
        preferred = self.preferred.get(tp)
        if preferred is not None and preferred.is_online:
            return preferred
        return self._next_directory()

    def _with_topic_id(self, log: UnifiedLog, topic_id: Uuid) -> UnifiedLog:
        if log.topic_id is None:
            write_partition_metadata(self.files, log.directory, topic_id)
            log.topic_id = topic_id
        if log.topic_id != topic_id:
            raise KafkaError(
                ErrorCode.INCONSISTENT_TOPIC_ID,
                f"The log of {log.topic_partition} belongs to topic id {log.topic_id}, not {topic_id}",
            )
        return log

    def _next_directory(self) -> LogDirectory:
        online = [directory for directory in self.directories if directory.is_online]
        if not online:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "No log directory is online")
        if len(online) == 1:
            return online[0]
        return min(online, key=list(self._directory_of.values()).count)

    def delete(self, tp: TopicPartition) -> None:
        """Takes a log away: its directory is renamed at once and removed after file.delete.delay.ms."""
        log = self._logs.pop(tp, None)
        directory = self._directory_of.pop(tp, None)
        if log is not None and directory is not None:
            self.doom(log, directory)

    def mark_stray(self, tp: TopicPartition) -> None:
        """Sets a log aside that the cluster does not know: its directory is renamed and kept, as Kafka does, for the
        metadata may be what is wrong."""
        log = self._logs.pop(tp)
        directory = self._directory_of.pop(tp)
        self._abandon(log)
        stray = os.path.join(directory.path, log_dir.stray_name(tp))
        try:
            self.files.rename(log.directory, stray)
        except OSError as error:
            self.fail(directory, error)
            return
        directory.has_unsynced_names = True
        logger.warning("Log of %s with topic id %s is not in the metadata: it is kept as %s", tp, log.topic_id, stray)

    def doom(self, log: UnifiedLog, directory: LogDirectory) -> None:
        """The log is nobody's any more."""
        self._abandon(log)
        self.doom_path(log.directory, log.topic_partition, directory, log.config.file_delete_delay_ms)

    def _abandon(self, log: UnifiedLog) -> None:
        log.cleaning.void()
        for segment in log.segments:
            segment.release()
        log.on_io_error = _ignore_error  # its files go: who still holds it may trip over that

    def doom_path(self, path: str, tp: TopicPartition, directory: LogDirectory, delay_ms: int = 0) -> None:
        doomed = os.path.join(directory.path, log_dir.deleted_name(tp))
        try:
            self.files.rename(path, doomed)
        except OSError as error:
            self.fail(directory, error)
            return
        directory.has_unsynced_names = True
        self.doomed_directories.append((self.clock.monotonic() + delay_ms / 1000, doomed))

    def sync_names(self, directory: LogDirectory) -> None:
        """Makes it durable which logs were deleted or set aside. Safe in a thread. Raises OSError."""
        directory.has_unsynced_names = False
        self.files.fsync_directory(directory.path)

    # Moving between directories

    def begin_copy(self, tp: TopicPartition, directory: LogDirectory) -> LogCopy:
        """Of a log that is online. Raises OSError."""
        path = os.path.join(directory.path, log_dir.future_name(tp))
        self.files.make_directory(path)
        return LogCopy(self._logs[tp], path)

    def replace(self, copy: LogCopy, directory: LogDirectory) -> UnifiedLog:
        """The copy, which next_round() called complete, becomes the partition's log; the old one is deleted.

        Raises CopyError; then the old one stays. As Kafka does it: the copy takes its name first, so that wherever a
        crash interrupts, a whole log is left (see _settle).
        """
        old = copy.log
        tp = old.topic_partition
        synced = copy.finish()
        final = os.path.join(directory.path, str(tp))
        try:
            # Known there before the log is: deleted records must not come back.
            directory.checkpoints.take_over(old, synced)
            self.files.fsync_directory(copy.directory)
            self.files.rename(copy.directory, final)
            self.files.fsync_directory(directory.path)
            new = self._open_log(directory, final, tp, old.config, synced, old.log_start_offset, was_clean=False)
        except (OSError, KafkaError, CorruptCheckpoint, CorruptPartitionMetadata) as error:
            raise CopyError(final, error) from error
        if (new.log_start_offset, new.log_end_offset) != (old.log_start_offset, old.log_end_offset):
            self.doom(new, directory)
            raise CopyError(final, ValueError(f"it ends at {new.log_end_offset}, the log at {old.log_end_offset}"))
        new.update_high_watermark(old.high_watermark)
        new.cleaning.moved_from(old.cleaning)
        source = self._directory_of[tp]
        self._logs[tp] = new
        self._directory_of[tp] = directory
        self.doom(old, source)
        return new

    # Truncating

    @contextmanager
    def truncations(self) -> Iterator[None]:
        """Of many logs, to none of which anything is appended within: what truncate_to() writes is written at the end,
        once for each directory."""
        self._truncated_in = {}
        try:
            yield
        finally:
            directories, self._truncated_in = self._truncated_in, None
            for directory in directories:
                if directory.is_online:
                    self._write_checkpoint(directory, checkpoints.RECOVERY_POINT)

    def truncate_to(self, log: UnifiedLog, offset: int) -> bool:
        """UnifiedLog.truncate_to, of which the checkpoint must know: after a crash it would call synced what came anew.
        Raises OSError."""
        recovery_point = log.recovery_point
        was_cut = log.truncate_to(offset)
        self._recovery_point_may_be_back(log, recovery_point, self._truncated_in)
        return was_cut

    def truncate_fully_and_start_at(self, log: UnifiedLog, offset: int) -> None:
        """The same for UnifiedLog.truncate_fully_and_start_at, after which records may come at once. Raises OSError."""
        recovery_point = log.recovery_point
        log.truncate_fully_and_start_at(offset)
        self._recovery_point_may_be_back(log, recovery_point)

    def _recovery_point_may_be_back(
        self, log: UnifiedLog, before: int, later: dict[LogDirectory, None] | None = None
    ) -> None:
        directory = self._directory_of.get(log.topic_partition)
        if log.recovery_point >= before or directory is None or not directory.is_online:
            return
        if later is not None:
            later[directory] = None
        else:
            self._write_checkpoint(directory, checkpoints.RECOVERY_POINT)

    def remove_doomed_directories(self, now: float) -> None:
        """Removes deleted logs' directories that are due; work for a thread."""
        due = [path for when, path in self.doomed_directories if when <= now]
        self.doomed_directories = [(when, path) for when, path in self.doomed_directories if when > now]
        for path in due:
            self.files.remove_tree(path)

    def update_config(self, topic: str, config: LogConfig) -> None:
        for tp, log in self._logs.items():
            if tp.topic == topic:
                log.update_config(config)

    def update_producer_id_expiration(self, milliseconds: int) -> None:
        """producer.id.expiration.ms, of the logs to come too."""
        self.producer_id_expiration_ms = milliseconds
        for log in self._logs.values():
            log.producer_state.expiration_ms = milliseconds

    # Checkpoints

    def checkpoint_recovery_points(self) -> None:
        self._checkpoint(checkpoints.RECOVERY_POINT)

    def checkpoint_high_watermarks(self) -> None:
        self._checkpoint(checkpoints.HIGH_WATERMARK)

    def checkpoint_log_start_offsets(self) -> None:
        self._checkpoint(checkpoints.LOG_START_OFFSET)

    def checkpoint_cleaner_offsets(self) -> None:
        self._checkpoint(checkpoints.CLEANER_OFFSET)

    def _checkpoint(self, name: str) -> None:
        for directory in self.directories:
            if directory.is_online:
                self._write_checkpoint(directory, name)

    def _write_checkpoint(self, directory: LogDirectory, name: str) -> None:
        logs = (log for tp, log in self._logs.items() if self._directory_of[tp] is directory)
        try:
            directory.checkpoints.write(name, logs)
        except OSError as error:
            self.fail(directory, error)

    def shutdown(self, broker_epoch: int) -> None:
        """Flushes and closes everything, writes the checkpoints and the mark of a clean stop."""
        for log in self.all():
            try:
                log.flush()
                log.close()
            except OSError as error:
                log.on_io_error(error)
        self.checkpoint_recovery_points()
        self.checkpoint_high_watermarks()
        self.checkpoint_log_start_offsets()
        for directory in self.directories:
            if directory.is_online:
                self._mark_clean(directory, broker_epoch)
        self.release()

    def _mark_clean(self, directory: LogDirectory, broker_epoch: int) -> None:
        try:
            log_dir.write_clean_shutdown(self.files, directory.path, broker_epoch)
        except OSError as error:
            self.fail(directory, error)

    def release(self) -> None:
        """Gives the directories up without marking them clean."""
        for directory in self.directories:
            directory.lock.release()
        self.directories.clear()


def _ignore(_: str) -> None:
    return


def _ignore_error(_: OSError) -> None:
    return
