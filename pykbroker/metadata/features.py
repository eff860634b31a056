"""metadata.version and the other feature levels: what we support, and in which version each record is written.

Kafka: MetadataVersion.
"""

from typing import TYPE_CHECKING

from pykbroker.metadata.image import METADATA_VERSION

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

ELR_VERSION = "eligible.leader.replicas.version"
GROUP_VERSION = "group.version"
SHARE_VERSION = "share.version"
STREAMS_VERSION = "streams.version"
TRANSACTION_VERSION = "transaction.version"

# metadata.version levels of Kafka 4.3 that change the log's format; in between, the next lower one rules.
MINIMUM_METADATA_VERSION = 7  # 3.3-IV3
LATEST_METADATA_VERSION = 30  # 4.3-IV0
LAST_KNOWN_METADATA_VERSION = 31  # 4.4-IV0: readable, not yet final
# From MINIMUM_METADATA_VERSION on.
METADATA_VERSION_NAMES = (
    *("3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2"),
    *("3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0"),
    *("4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0", "4.4-IV0"),
)

# Features that this broker honours, (min, max); claiming one is a promise to clients.
SUPPORTED_FEATURES: dict[str, tuple[int, int]] = {
    METADATA_VERSION: (MINIMUM_METADATA_VERSION, LATEST_METADATA_VERSION),
    "kraft.version": (0, 1),
    ELR_VERSION: (0, 1),
    GROUP_VERSION: (0, 1),
    SHARE_VERSION: (0, 1),
    STREAMS_VERSION: (0, 1),
    TRANSACTION_VERSION: (0, 2),
}
# Finalized in a fresh cluster, in the order of the bootstrap snapshot.
INITIAL_FEATURES: dict[str, int] = {
    METADATA_VERSION: LATEST_METADATA_VERSION,
    ELR_VERSION: 1,
    GROUP_VERSION: 1,
    SHARE_VERSION: 1,
    STREAMS_VERSION: 1,
    TRANSACTION_VERSION: 2,
}


def allows_elr_records(metadata_version: int) -> bool:
    """KIP-966 records: from 4.0-IV1."""
    return metadata_version >= 23


def allows_directories(metadata_version: int) -> bool:
    """KIP-858 directory assignment: from 3.7-IV2."""
    return metadata_version >= 17


def allows_transactions(metadata_version: int) -> bool:
    """KIP-868 metadata transactions: from 3.6-IV1."""
    return metadata_version >= 13


def allows_controller_registration(metadata_version: int) -> bool:
    """KIP-919: from 3.7-IV0."""
    return metadata_version >= 15


def allows_cordoned_directories(metadata_version: int) -> bool:
    """Cordoned log directories (KIP-1066): from 4.3-IV0."""
    return metadata_version >= 30


def bumps_epoch_on_isr_shrink(metadata_version: int) -> bool:
    """Below 3.6-IV0 an ISR shrink needs a new leader epoch (KAFKA-15021)."""
    return metadata_version < 12


def fetch_request_version(metadata_version: int) -> int:
    """In which followers fetch: nobody asks the leader what it can (MetadataVersion.fetchRequestVersion)."""
    return _at(metadata_version, ((27, 18), (21, 17), (19, 16), (10, 15), (9, 14)), 13)


def list_offsets_request_version(metadata_version: int) -> int:
    """In which followers ask for their leader's offsets (MetadataVersion.listOffsetRequestVersion)."""
    return _at(metadata_version, ((29, 11), (25, 10), (21, 9), (9, 8)), 7)


def _at(metadata_version: int, since: tuple[tuple[int, int], ...], lowest: int) -> int:
    """`since`: (metadata.version, version of a request), the latest first."""
    return next((version for level, version in since if metadata_version >= level), lowest)


def record_version(record: "Message", metadata_version: int) -> int:
    """The version in which Kafka writes this record at this metadata.version."""
    rule = _RULES.get(type(record).__name__)
    return rule(record, metadata_version) if rule else 0


def _partition(_record: "Message", metadata_version: int) -> int:
    if allows_elr_records(metadata_version):
        return 2
    return 1 if allows_directories(metadata_version) else 0


def _register_broker(_record: "Message", metadata_version: int) -> int:
    if allows_cordoned_directories(metadata_version):
        return 4
    if allows_directories(metadata_version):
        return 3
    return 2 if metadata_version >= 8 else 1


def _registration_change(record: "Message", _metadata_version: int) -> int:
    """The lowest version that can carry the fields that are set."""
    if getattr(record, "cordoned_log_dirs", None) is not None:
        return 3
    if getattr(record, "log_dirs", None):
        return 2
    return 1 if getattr(record, "in_controlled_shutdown", 0) else 0


_RULES = {
    "PartitionRecord": _partition,
    "PartitionChangeRecord": _partition,
    "RegisterBrokerRecord": _register_broker,
    "BrokerRegistrationChangeRecord": _registration_change,
}
