"""A transactional producer whose every request is a test's own: what the real Kafka answers to it, so must we."""

from collections.abc import Iterable
from typing import Any

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from pykbroker.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from pykbroker.protocol.messages.describe_transactions import DescribeTransactionsRequest
from pykbroker.protocol.messages.end_txn import EndTxnRequest
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from pykbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from tests.handlers.broker.asker import Asker, Topic, batch, fetch, produce, wants
from tests.handlers.cluster_asker import eventually, unique

TIMEOUT_MS = 60_000
Identity = tuple[int, int]
# While a coordinator is on its way, or the transaction before is being completed.
LATER = frozenset(
    (
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.CONCURRENT_TRANSACTIONS,
    )
)


class TransactionalProducer:
    """`identity`: (producer id, epoch) as the coordinator last told it; requests take another one if told so."""

    def __init__(self, asker: Asker, transactional_id: str | None = None) -> None:
        self.asker = asker
        self.id = transactional_id or unique("tx")
        self.identity: Identity = (-1, -1)
        find_coordinator(asker, self.id, 1)

    # -- each answers the error code

    def try_init(self, version: int = 5, expected: Identity = (-1, -1), timeout_ms: int = TIMEOUT_MS) -> int:
        request = InitProducerIdRequest(transactional_id=self.id, transaction_timeout_ms=timeout_ms)
        if version >= 3:
            request.producer_id, request.producer_epoch = expected
        response = self.asker.ask(request, version)
        if response.error_code == 0:
            self.identity = (response.producer_id, response.producer_epoch)
        else:
            assert (response.producer_id, response.producer_epoch) == (-1, -1)
        return int(response.error_code)

    def init(self, version: int = 5, expected: Identity = (-1, -1), timeout_ms: int = TIMEOUT_MS) -> int:
        """Asks again as a client does."""
        return int(eventually(lambda: self.try_init(version, expected, timeout_ms), lambda code: code not in LATER))

    def try_add(self, topic: Topic, *partitions: int, version: int = 3, identity: Identity | None = None) -> int:
        """The code of all partitions."""
        producer_id, epoch = identity or self.identity
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.id,
            v3_and_below_producer_id=producer_id,
            v3_and_below_producer_epoch=epoch,
            v3_and_below_topics=[AddPartitionsToTxnTopic(topic.name, list(partitions or (0,)))],
        )
        rows = self.asker.ask(request, version).results_by_topic_v3_and_below
        return only({row.partition_error_code for topic in rows for row in topic.results_by_partition})

    def add(self, topic: Topic, *partitions: int, version: int = 3) -> int:
        return int(
            eventually(lambda: self.try_add(topic, *partitions, version=version), lambda code: code not in LATER)
        )

    def try_add_offsets(self, group: str, version: int = 4, identity: Identity | None = None) -> int:
        producer_id, epoch = identity or self.identity
        request = AddOffsetsToTxnRequest(
            transactional_id=self.id, producer_id=producer_id, producer_epoch=epoch, group_id=group
        )
        return int(self.asker.ask(request, version).error_code)

    def add_offsets(self, group: str, version: int = 4) -> int:
        return int(eventually(lambda: self.try_add_offsets(group, version), lambda code: code not in LATER))

    def produce(
        self, topic: Topic, partition: int = 0, sequence: int = 0, version: int = 12, identity: Identity | None = None
    ) -> Any:
        """The answer's row."""
        producer_id, epoch = identity or self.identity
        records = batch(producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence, is_transactional=True)
        return produce(self.asker, topic, [(partition, records)], version, transactional_id=self.id)[partition]

    def try_end(self, commit: bool, version: int = 5, identity: Identity | None = None) -> int:
        """Takes over the identity for the next transaction."""
        producer_id, epoch = identity or self.identity
        request = EndTxnRequest(
            transactional_id=self.id, producer_id=producer_id, producer_epoch=epoch, committed=commit
        )
        response = self.asker.ask(request, version)
        if version >= 5 and response.error_code == 0:
            self.identity = (response.producer_id, response.producer_epoch)
        else:
            assert (response.producer_id, response.producer_epoch) == (-1, -1)
        return int(response.error_code)

    def end(self, commit: bool, version: int = 5, identity: Identity | None = None) -> int:
        return int(eventually(lambda: self.try_end(commit, version, identity), lambda code: code not in LATER))

    def commit_offset(
        self,
        group: str,
        topic: Topic,
        offset: int,
        partition: int = 0,
        version: int = 5,
        identity: Identity | None = None,
        metadata: str = "",
        **member: Any,
    ) -> int:
        producer_id, epoch = identity or self.identity
        row = TxnOffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_metadata=metadata
        )
        request = TxnOffsetCommitRequest(
            transactional_id=self.id,
            group_id=group,
            producer_id=producer_id,
            producer_epoch=epoch,
            topics=[TxnOffsetCommitRequestTopic(name=topic.name, partitions=[row])],
            **member,
        )
        (answer,) = self.asker.ask(request, version).topics
        assert answer.name == topic.name
        return only({row.error_code for row in answer.partitions})

    # -- what is known of it

    def described(self) -> Any:
        (row,) = self.asker.ask(DescribeTransactionsRequest(transactional_ids=[self.id]), 0).transaction_states
        return row

    def at_rest(self) -> Any:
        """Described, when no marker is on its way any more."""
        return eventually(
            self.described, lambda row: row.error_code == 0 and not row.transaction_state.startswith("Prepare")
        )

    def ended(self) -> Any:
        """Described, when it has been committed or aborted."""
        return eventually(self.described, lambda row: row.transaction_state.startswith("Complete"))


def batched(
    asker: Asker,
    *producers: tuple[TransactionalProducer, Topic, Iterable[int]],
    verify_only: bool,
    version: int = 5,
) -> list[dict[int, int]]:
    """AddPartitionsToTxn as brokers send it: the codes by partition for each producer."""
    request = AddPartitionsToTxnRequest(
        transactions=[
            AddPartitionsToTxnTransaction(
                transactional_id=producer.id,
                producer_id=producer.identity[0],
                producer_epoch=producer.identity[1],
                verify_only=verify_only,
                topics=[AddPartitionsToTxnTopic(topic.name, list(partitions))],
            )
            for producer, topic, partitions in producers
        ]
    )
    response = asker.ask(request, version)
    assert response.error_code == 0
    results = {row.transactional_id: row for row in response.results_by_transaction}
    return [
        {
            row.partition_index: row.partition_error_code
            for topic in results[producer.id].topic_results
            for row in topic.results_by_partition
        }
        for producer, _, _ in producers
    ]


def begun(asker: Asker, transactional_id: str | None = None, **fields: Any) -> TransactionalProducer:
    producer = TransactionalProducer(asker, transactional_id)
    assert producer.init(**fields) == 0
    return producer


def find_coordinator(asker: Asker, key: str, key_type: int) -> None:
    """Until it is there."""
    request = FindCoordinatorRequest(coordinator_keys=[key], key_type=key_type)
    eventually(lambda: asker.ask(request, 4), lambda answer: answer.coordinators[0].error_code == 0)


def only(values: set[int]) -> int:
    (value,) = values
    return value


def stable_offsets(
    asker: Asker, topic: Topic, partition: int = 0, offset: int = 0
) -> tuple[int, int, list[tuple[int, int]]]:
    """(high watermark, last stable offset, aborted as (producer id, first offset)), read from `offset` on."""
    (row,) = fetch(asker, (topic, [wants(partition, offset)]), isolation_level=1, max_wait_ms=0).responses[0].partitions
    assert row.error_code == 0
    aborted = [(item.producer_id, item.first_offset) for item in row.aborted_transactions or ()]
    return row.high_watermark, row.last_stable_offset, aborted
