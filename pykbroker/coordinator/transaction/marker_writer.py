"""Writes the end of a transaction into one partition led here (KafkaApis.handleWriteTxnMarkersRequest)."""

from typing import Protocol

from pykbroker.coordinator.shard import Marker
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.metadata.topic_names import GROUP_METADATA_TOPIC
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode

# The coordinator that sent the marker knows leaders, but no group coordinators.
_LEADER_MOVED = frozenset(
    (ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NOT_COORDINATOR)
)


class Partitions(Protocol):
    """ReplicaManager."""

    def write_marker(self, tp: TopicPartition, marker: Marker) -> Pending[None] | None:
        """None: committed; else fails with a KafkaError or is done when it is. Raises KafkaError."""


class Groups(Protocol):
    """GroupCoordinatorService."""

    def write_marker(self, partition: int, marker: Marker) -> Pending[None] | None:
        """The same for a partition of `__consumer_offsets`, whose state it keeps."""


class MarkerWriter:
    def __init__(self, partitions: Partitions, groups: Groups) -> None:
        self._partitions = partitions
        self._groups = groups

    def write(self, tp: TopicPartition, marker: Marker) -> Pending[None] | None:
        """None: committed; else fails with a KafkaError or is done when it is. Raises KafkaError."""
        if tp.topic != GROUP_METADATA_TOPIC:
            return self._partitions.write_marker(tp, marker)
        try:
            return self._groups.write_marker(tp.partition, marker)
        except KafkaError as error:
            if error.code in _LEADER_MOVED:
                raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, str(error)) from error
            raise
