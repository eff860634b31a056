"""Which of Kafka's files a path is, by its name and by that of its directory."""

import os
import re
from enum import Enum
from typing import NamedTuple

from pykbroker.log import checkpoints, leader_epochs, log_dir, partition_metadata
from pykbroker.log.inspection.decoding import DECODED_TOPICS


class Kind(Enum):
    SEGMENT = "segment"
    OFFSET_INDEX = "offset index"
    TIME_INDEX = "time index"
    TRANSACTION_INDEX = "transaction index"
    PRODUCER_SNAPSHOT = "producer snapshot"
    METADATA_SNAPSHOT = "metadata snapshot"
    LEADER_EPOCHS = "leader epochs"
    OFFSET_CHECKPOINT = "offset checkpoint"
    PARTITION_METADATA = "partition metadata"
    META_PROPERTIES = "meta.properties"
    CLEAN_SHUTDOWN = "clean shutdown"
    QUORUM_STATE = "quorum state"


class Recognised(NamedTuple):
    """`records`: how to read the records, "" as plain keys and values; `base_offset`: in the file's name, else 0."""

    kind: Kind
    base_offset: int
    records: str


_BY_SUFFIX = {
    ".log": Kind.SEGMENT,
    ".index": Kind.OFFSET_INDEX,
    ".timeindex": Kind.TIME_INDEX,
    ".txnindex": Kind.TRANSACTION_INDEX,
    ".snapshot": Kind.PRODUCER_SNAPSHOT,
    ".checkpoint": Kind.METADATA_SNAPSHOT,
}
_BY_NAME = {
    leader_epochs.FILE_NAME: Kind.LEADER_EPOCHS,
    checkpoints.RECOVERY_POINT: Kind.OFFSET_CHECKPOINT,
    checkpoints.HIGH_WATERMARK: Kind.OFFSET_CHECKPOINT,
    checkpoints.LOG_START_OFFSET: Kind.OFFSET_CHECKPOINT,
    checkpoints.CLEANER_OFFSET: Kind.OFFSET_CHECKPOINT,
    partition_metadata.FILE_NAME: Kind.PARTITION_METADATA,
    log_dir.META_PROPERTIES: Kind.META_PROPERTIES,
    log_dir.CLEAN_SHUTDOWN: Kind.CLEAN_SHUTDOWN,
    "quorum-state": Kind.QUORUM_STATE,
}
# What an operation under way appends to a file's name.
_STATE = re.compile(r"(\.(deleted|cleaned|swap|part|tmp))+$")
_DIRECTORY = re.compile(r"(?P<topic>.+)-[0-9]+(\.[0-9a-f]{32}-(delete|future|stray))?")
_BASE_OFFSET = re.compile(r"[0-9]{20}")


def recognise(path: str) -> Recognised | None:
    """None for a file that is none of Kafka's."""
    folder, name = os.path.split(os.path.abspath(path))
    name = _STATE.sub("", name)
    kind = _BY_NAME.get(name) or _BY_SUFFIX.get(os.path.splitext(name)[1])
    if kind is None:
        return None
    digits = _BASE_OFFSET.match(name)
    return Recognised(kind, int(digits[0]) if digits else 0, _records(kind, os.path.basename(folder)))


def _records(kind: Kind, folder: str) -> str:
    if kind is Kind.METADATA_SNAPSHOT:
        return "metadata"
    match = _DIRECTORY.fullmatch(folder)
    return DECODED_TOPICS.get(match["topic"], "") if match else ""
