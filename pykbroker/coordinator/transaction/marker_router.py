"""Markers to whoever leads the partition, here or elsewhere (addTxnMarkersToBrokerQueue)."""

from collections.abc import Callable
from typing import Protocol

from pykbroker.coordinator.shard import Marker
from pykbroker.coordinator.transaction.marker_writer import MarkerWriter
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode


class Elsewhere(Protocol):
    """MarkerQueue."""

    def write(self, broker_id: int, tp: TopicPartition, marker: Marker) -> Pending[None]: ...


class MarkerRouter:
    """`leader_of`: a node id, negative when there is none now; None: there is no such partition."""

    def __init__(
        self,
        node_id: int,
        leader_of: Callable[[TopicPartition], int | None],
        here: MarkerWriter,
        elsewhere: Callable[[], Elsewhere],
    ) -> None:
        self._node_id = node_id
        self._leader_of = leader_of
        self._here = here
        self._elsewhere = elsewhere

    def write(self, tp: TopicPartition, marker: Marker) -> Pending[None] | None:
        """None: committed; else fails with a KafkaError or is done when it is. Raises KafkaError:
        UNKNOWN_TOPIC_OR_PARTITION only when it has been deleted."""
        leader = self._leader_of(tp)
        if leader == self._node_id:
            return self._here.write(tp, marker)
        if leader is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if leader < 0:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "it has no leader now")
        return self._elsewhere().write(leader, tp, marker)
