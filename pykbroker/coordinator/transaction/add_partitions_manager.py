"""Partitions of transactions that other brokers coordinate, led here (AddPartitionsToTxnManager, KIP-890). Sans-I/O."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from pykbroker.coordinator.broker_queue import BrokerQueue
from pykbroker.coordinator.transaction.transaction_metadata import ProducerIdentity
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

# Clients' versions end before it.
LOWEST = 4
Errors = Mapping[TopicPartition, int]


class _Entry(NamedTuple):
    broker_id: int
    transactional_id: str
    producer: ProducerIdentity
    partitions: tuple[TopicPartition, ...]
    adds: bool
    pending: Pending[Errors]

    def refuse(self, code: int) -> None:
        self.pending.try_complete(dict.fromkeys(self.partitions, code))


class AddPartitionsManager(BrokerQueue[_Entry]):
    """At most one question of each transactional id waits for a broker."""

    def __init__(self) -> None:
        super().__init__()
        self._latest: dict[tuple[int, str], _Entry] = {}

    def ask(
        self,
        broker_id: int,
        transactional_id: str,
        producer: ProducerIdentity,
        partitions: Collection[TopicPartition],
        *,
        adds: bool,
    ) -> Pending[Errors]:
        """The errors of those that are not in the transaction; `adds`: which they are to be then."""
        entry = _Entry(broker_id, transactional_id, producer, tuple(partitions), adds, Pending())
        before = self._latest.get((broker_id, transactional_id))
        if before is not None:
            if before.producer.epoch > producer.epoch:
                entry.refuse(ErrorCode.INVALID_PRODUCER_EPOCH)
                return entry.pending
            # Another try of the same client, whose answer must let it try once more; or it is fenced.
            is_retry = before.producer.epoch == producer.epoch
            before.refuse(ErrorCode.NETWORK_EXCEPTION if is_retry else ErrorCode.INVALID_PRODUCER_EPOCH)
        self._latest[broker_id, transactional_id] = entry
        self.put(broker_id, entry)
        return entry.pending

    def choose(self, entries: list[_Entry]) -> tuple[list[_Entry], list[_Entry]]:
        return [entry for entry in entries if not entry.pending.done], []

    def request(self, entries: list[_Entry]) -> "tuple[int, int, Message]":
        for entry in entries:
            del self._latest[entry.broker_id, entry.transactional_id]
        transactions = [_transaction(entry) for entry in entries]
        return ApiKey.ADD_PARTITIONS_TO_TXN, LOWEST, AddPartitionsToTxnRequest(transactions=transactions)

    def answer(self, entries: list[_Entry], response: "Message") -> None:
        answered = cast(AddPartitionsToTxnResponse, response)
        if answered.error_code:
            # Clients must not hear that brokers are not authorized.
            is_hidden = answered.error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED
            self._refuse(entries, ErrorCode.INVALID_TXN_STATE if is_hidden else answered.error_code)
            return
        errors = {
            result.transactional_id: {
                TopicPartition(topic.name, row.partition_index): row.partition_error_code
                for topic in result.topic_results
                for row in topic.results_by_partition
                if row.partition_error_code
            }
            for result in answered.results_by_transaction
        }
        for entry in entries:
            if entry.transactional_id in errors:
                entry.pending.try_complete(errors[entry.transactional_id])
            else:
                entry.refuse(ErrorCode.UNKNOWN_SERVER_ERROR)

    def fail(self, entries: list[_Entry], error: KafkaError) -> None:
        if error.code != ErrorCode.UNSUPPORTED_VERSION:
            self._refuse(entries, error.code)
            return
        for entry in entries:  # a coordinator that knows nothing of verification; clients of it have added theirs
            entry.pending.try_complete({})

    def _refuse(self, entries: list[_Entry], code: int) -> None:
        for entry in entries:
            entry.refuse(code)


def _transaction(entry: _Entry) -> AddPartitionsToTxnTransaction:
    topics: dict[str, list[int]] = {}
    for topic, index in entry.partitions:
        topics.setdefault(topic, []).append(index)
    return AddPartitionsToTxnTransaction(
        transactional_id=entry.transactional_id,
        producer_id=entry.producer.producer_id,
        producer_epoch=entry.producer.epoch,
        verify_only=not entry.adds,
        topics=[AddPartitionsToTxnTopic(name=name, partitions=indexes) for name, indexes in topics.items()],
    )
