"""Transaction state ↔ records of `__transaction_state` (TransactionLog)."""

from typing import Final

from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.coordinator.transaction.transaction_metadata import EMPTY, STATE_NAMES, TransactionMetadata
from pykbroker.errors import MalformedFrame
from pykbroker.ids import TopicPartition
from pykbroker.protocol.persisted.transaction.transaction_log import (
    PartitionsSchema,
    TransactionLogKey,
    TransactionLogValue,
)

# Only a value of this version has room for the transaction version and for the producer ids before and after.
FLEXIBLE_VERSION: Final = 1


def value_version(transaction_version: int) -> int:
    """The version to write at this level of the feature transaction.version."""
    return FLEXIBLE_VERSION if transaction_version >= 1 else 0


def transaction_record(metadata: TransactionMetadata, version: int) -> CoordinatorRecord:
    value = TransactionLogValue(
        producer_id=metadata.producer_id,
        producer_epoch=metadata.epoch,
        transaction_timeout_ms=metadata.timeout_ms,
        transaction_status=metadata.state,
        transaction_partitions=_topics(metadata),
        transaction_last_update_timestamp_ms=metadata.last_update_timestamp,
        transaction_start_timestamp_ms=metadata.start_timestamp,
    )
    if version >= FLEXIBLE_VERSION:
        value.previous_producer_id = metadata.previous_producer_id
        value.next_producer_id = metadata.next_producer_id
        value.client_transaction_version = metadata.client_version
    return CoordinatorRecord(TransactionLogKey(transactional_id=metadata.transactional_id), value, version)


def transaction_tombstone(transactional_id: str) -> CoordinatorRecord:
    return CoordinatorRecord(TransactionLogKey(transactional_id=transactional_id), None)


def _topics(metadata: TransactionMetadata) -> list[PartitionsSchema] | None:
    if metadata.state == EMPTY:
        return None
    topics: dict[str, PartitionsSchema] = {}
    for topic, partition in sorted(metadata.partitions):
        schema = topics.get(topic)
        if schema is None:
            schema = topics[topic] = PartitionsSchema(topic=topic, partition_ids=[])
        schema.partition_ids.append(partition)
    return list(topics.values())


def metadata_from(transactional_id: str, value: TransactionLogValue) -> TransactionMetadata:
    """Raises MalformedFrame for a state that no Kafka writes."""
    if value.transaction_status not in STATE_NAMES:
        raise MalformedFrame(f"transactional id {transactional_id} in unknown state {value.transaction_status}")
    return TransactionMetadata(
        transactional_id=transactional_id,
        producer_id=value.producer_id,
        timeout_ms=value.transaction_timeout_ms,
        previous_producer_id=value.previous_producer_id,
        next_producer_id=value.next_producer_id,
        epoch=value.producer_epoch,
        state=value.transaction_status,
        partitions=frozenset(
            TopicPartition(topic.topic, partition)
            for topic in value.transaction_partitions or ()
            for partition in topic.partition_ids
        ),
        start_timestamp=value.transaction_start_timestamp_ms,
        last_update_timestamp=value.transaction_last_update_timestamp_ms,
        client_version=value.client_transaction_version,
    )
