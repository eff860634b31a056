"""One log directory: meta.properties, lock, clean-shutdown file, names of partition directories.

(MetaProperties, MetaPropertiesEnsemble, CleanShutdownFileHandler, LocalLog.parseTopicPartitionName, FileLock)
"""

import fcntl
import json
import os
from pathlib import Path
from typing import NamedTuple

from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.files import Files

META_PROPERTIES = "meta.properties"
CLEAN_SHUTDOWN = ".kafka_cleanshutdown"
LOCK = ".lock"
DELETE_SUFFIX = "-delete"
STRAY_SUFFIX = "-stray"
FUTURE_SUFFIX = "-future"
MAX_TOPIC_LENGTH = 249
_MAX_NAME = 255


class LogDirError(Exception):
    """The directory cannot be used; the message tells the user what is wrong and what to do."""


class MetaProperties(NamedTuple):
    cluster_id: str
    node_id: int
    directory_id: Uuid


def read_meta_properties(files: Files, directory: str) -> MetaProperties | None:
    """None for a fresh directory; one that has no id, from before KIP-858, gets one, written down.

    Raises LogDirError for a file that is no meta.properties of version 1, OSError.
    """
    path = f"{directory}/{META_PROPERTIES}"
    try:
        text = files.read_bytes(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    lines = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    fields = {name.strip(): value.strip() for name, value in lines}
    if fields.get("version") != "1":
        raise LogDirError(f"{path}: version {fields.get('version')} is not known; only 1 (KRaft) is")
    try:
        directory_id = Uuid.parse(fields["directory.id"]) if "directory.id" in fields else Uuid.random()
        properties = MetaProperties(fields["cluster.id"], int(fields["node.id"]), directory_id)
    except (KeyError, ValueError) as error:
        raise LogDirError(f"{path}: incomplete: {error}") from None
    if "directory.id" not in fields:
        write_meta_properties(files, directory, properties)
    return properties


def write_meta_properties(files: Files, directory: str, properties: MetaProperties) -> None:
    """Raises OSError."""
    lines = (
        f"node.id={properties.node_id}",
        f"directory.id={properties.directory_id}",
        "version=1",
        f"cluster.id={properties.cluster_id}",
    )
    files.write_atomically(f"{directory}/{META_PROPERTIES}", ("\n".join(lines) + "\n").encode())


class DirectoryLock:
    """A lock that another pykbroker and a real Kafka (Java's FileLock) respect alike."""

    def __init__(self, directory: str) -> None:
        """Raises LogDirError when somebody else has it."""
        self.path = f"{directory}/{LOCK}"
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise LogDirError(
                f"the data directory {directory} is in use by another broker: stop it, or choose another directory"
            ) from None

    def release(self) -> None:
        os.close(self._fd)


def read_clean_shutdown(files: Files, directory: str) -> int | None:
    """The broker epoch of the clean stop, -1 when the file does not say it, None after an unclean stop."""
    path = f"{directory}/{CLEAN_SHUTDOWN}"
    try:
        content = files.read_bytes(path)
    except FileNotFoundError:
        return None
    try:
        return int(json.loads(content)["brokerEpoch"])
    except (ValueError, KeyError, TypeError):
        return -1


def write_clean_shutdown(files: Files, directory: str, broker_epoch: int) -> None:
    """Raises OSError."""
    text = json.dumps({"version": 0, "brokerEpoch": broker_epoch}, separators=(",", ":"))
    files.write_atomically(f"{directory}/{CLEAN_SHUTDOWN}", text.encode())


def remove_clean_shutdown(files: Files, directory: str) -> None:
    """For good: a mark that a power cut brings back would vouch for what was never synced. Raises OSError."""
    path = f"{directory}/{CLEAN_SHUTDOWN}"
    if os.path.exists(path):
        files.unlink(path)
        files.fsync_directory(directory)


def parse_partition_directory(name: str) -> TopicPartition | None:
    """The partition of a directory's name, None for any other name."""
    topic, dash, number = name.rpartition("-")
    if not dash or not topic or not number.isdigit() or name.endswith((DELETE_SUFFIX, STRAY_SUFFIX, FUTURE_SUFFIX)):
        return None
    return TopicPartition(topic, int(number))


def parse_future_directory(name: str) -> TopicPartition | None:
    """The partition of topic-partition.uniqueid-future, None for any other name."""
    if not name.endswith(FUTURE_SUFFIX):
        return None
    stem, dot, _ = name.rpartition(".")
    return parse_partition_directory(stem) if dot else None


def future_name(tp: TopicPartition) -> str:
    """Of a directory that will take the place of the partition's (LocalLog.logFutureDirName)."""
    return f"{tp}.{Uuid.random().hex()}{FUTURE_SUFFIX}"


def is_too_long_for_a_future(tp: TopicPartition) -> bool:
    return len(future_name(tp)) > _MAX_NAME


def is_doomed(name: str) -> bool:
    """A directory whose topic was deleted, renamed and not removed yet."""
    return name.endswith(DELETE_SUFFIX)


def deleted_name(tp: TopicPartition) -> str:
    """topic-partition.uniqueid-delete (LocalLog.logDeleteDirName)."""
    return _capped_name(tp, DELETE_SUFFIX)


def stray_name(tp: TopicPartition) -> str:
    """topic-partition.uniqueid-stray (LocalLog.logStrayDirName)."""
    return _capped_name(tp, STRAY_SUFFIX)


def _capped_name(tp: TopicPartition, suffix: str) -> str:
    """The topic is shortened to what a file name may be."""
    rest = f"-{tp.partition}.{Uuid.random().hex()}{suffix}"
    return tp.topic[: _MAX_NAME - len(rest)] + rest


def disk_space(directory: str) -> tuple[int, int]:
    """(total, usable) bytes of the file system. Raises OSError."""
    stat = os.statvfs(directory)
    return stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize


def prepare(directory: str) -> None:
    """Makes the directory. Raises LogDirError."""
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogDirError(f"the data directory {directory} cannot be made: {error.strerror}") from None
