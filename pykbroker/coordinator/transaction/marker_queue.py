"""Ends of transactions for partitions that other brokers lead (TransactionMarkerChannelManager). Sans-I/O."""

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pykbroker.coordinator.broker_queue import BrokerQueue
from pykbroker.coordinator.shard import Marker
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

# Markers of one request: the other broker writes them in one go.
MOST: Final = 1000


class _Entry(NamedTuple):
    tp: TopicPartition
    marker: Marker
    pending: Pending[None]


class MarkerQueue(BrokerQueue[_Entry]):
    """Any error may pass; whoever asked decides, and asks again where the leader is then."""

    def write(self, broker_id: int, tp: TopicPartition, marker: Marker) -> Pending[None]:
        """Done when that broker has written and committed it; fails with a KafkaError. Who loses interest completes it
        themselves: what is not sent yet is not sent then."""
        pending: Pending[None] = Pending()
        self.put(broker_id, _Entry(tp, marker, pending))
        return pending

    def choose(self, entries: list[_Entry]) -> tuple[list[_Entry], list[_Entry]]:
        """An answer names producer and partition only: two markers of one producer go one after the other."""
        chosen: list[_Entry] = []
        left: list[_Entry] = []
        markers: dict[int, Marker] = {}
        for entry in entries:
            if entry.pending.done:
                continue
            is_first = markers.setdefault(entry.marker.producer_id, entry.marker) == entry.marker
            (chosen if is_first and len(chosen) < MOST else left).append(entry)
        return chosen, left

    def request(self, entries: list[_Entry]) -> "tuple[int, int, Message]":
        markers: dict[Marker, dict[str, list[int]]] = {}
        for entry in entries:
            topics = markers.setdefault(entry.marker, {})
            topics.setdefault(entry.tp.topic, []).append(entry.tp.partition)
        rows = [
            WritableTxnMarker(
                producer_id=marker.producer_id,
                producer_epoch=marker.epoch,
                transaction_result=marker.commit,
                topics=[
                    WritableTxnMarkerTopic(name=name, partition_indexes=indexes) for name, indexes in topics.items()
                ],
                coordinator_epoch=marker.coordinator_epoch,
                transaction_version=marker.transaction_version,
            )
            for marker, topics in markers.items()
        ]
        return ApiKey.WRITE_TXN_MARKERS, 1, WriteTxnMarkersRequest(markers=rows)

    def answer(self, entries: list[_Entry], response: "Message") -> None:
        codes = {
            (result.producer_id, topic.name, row.partition_index): row.error_code
            for result in cast(WriteTxnMarkersResponse, response).markers
            for topic in result.topics
            for row in topic.partitions
        }
        for entry in entries:
            code = codes.get((entry.marker.producer_id, *entry.tp), ErrorCode.UNKNOWN_SERVER_ERROR)
            if code == ErrorCode.NONE:
                entry.pending.try_complete(None)
            else:
                entry.pending.try_fail(_error(code))

    def fail(self, entries: list[_Entry], error: KafkaError) -> None:
        for entry in entries:
            entry.pending.try_fail(error)


def _error(code: int) -> KafkaError:
    if code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
        # It exists as far as this broker knows; that one may hear of it later, or has heard already that it is gone.
        return KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "its leader does not know it yet, or not any more")
    return KafkaError(code)
