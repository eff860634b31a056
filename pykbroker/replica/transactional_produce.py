"""The batches of a Produce request that belong to a transaction. (ReplicaManager.handleProduceAppend)"""

from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.transaction.transaction_metadata import ProducerIdentity
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.produce_checks import check_records, transactional_header
from pykbroker.replica.transaction_admission import Admission, Admissions, produce_support
from pykbroker.replica.verifications import check_first_sequence, check_verified, forget_verification

if TYPE_CHECKING:
    from pykbroker.protocol.fast_produce import ProduceQuery, Records, Topics
    from pykbroker.record.batch import BatchHeader
    from pykbroker.replica.partition import Partition
    from pykbroker.request import RequestContext, Services

# Producers retry these only as an error that has nothing to do with their transaction.
_RETRIABLE: Final = frozenset(
    (
        ErrorCode.NETWORK_EXCEPTION,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
    )
)


class NotAdmitted(KafkaError):
    """The coordinator does not agree; the message, if there is one, is for the client."""


class TransactionalProduce:
    __slots__ = ("_admissions", "_bumps_epochs")

    def __init__(self, admissions: dict[TopicPartition, Admission], bumps_epochs: bool) -> None:
        self._admissions = admissions
        self._bumps_epochs = bumps_epochs

    @classmethod
    async def admitted(
        cls, broker: "Services", ctx: "RequestContext", request: "ProduceQuery", topics: "Topics"
    ) -> "TransactionalProduce":
        """Raises KafkaError INVALID_PRODUCER_ID_MAPPING: the batches are of several producers."""
        support = produce_support(ctx.api_version)
        headers = _transactional_headers(broker, ctx, topics)
        producers = {ProducerIdentity(header.producer_id, header.producer_epoch) for header in headers.values()}
        if len(producers) > 1:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_ID_MAPPING, "Transactional records contained more than one producer ID"
            )
        if not headers or request.transactional_id is None:
            return cls({}, support.adds_partitions)
        config = broker.config
        longest = min(config.add_partitions_to_txn_retry_backoff_max_ms, config.request_timeout_ms)
        admissions = Admissions(
            broker.replicas,
            broker.transactions,
            config,
            broker.clock,
            request.transactional_id,
            producers.pop(),
            support,
            retries=longest // config.add_partitions_to_txn_retry_backoff_ms if support.adds_partitions else 0,
        )
        return cls(
            await admissions.of({tp: header.base_sequence for tp, header in headers.items()}), support.adds_partitions
        )

    def check(self, name: str, index: int, records: "Records", partition: "Partition | None") -> None:
        """Raises KafkaError."""
        admission = self._admissions.get(TopicPartition(name, index))
        if admission is None:
            return
        if admission.error:
            raise self._refusal(admission.error)
        header = transactional_header(records)
        if partition is not None and header is not None:
            check_verified(partition, header, admission.guard)
            check_first_sequence(partition, header)

    def _refusal(self, code: int) -> NotAdmitted:
        name = ErrorCode(code).name
        if code == ErrorCode.INVALID_TXN_STATE:
            return NotAdmitted(code, "Partition was not added to the transaction")
        if code in _RETRIABLE or (code == ErrorCode.CONCURRENT_TRANSACTIONS and not self._bumps_epochs):
            return NotAdmitted(
                ErrorCode.NOT_ENOUGH_REPLICAS,
                f"Unable to verify the partition has been added to the transaction. Underlying error: {name}",
            )
        return NotAdmitted(code)

    def on_append(self, partition: "Partition", records: "Records") -> None:
        """The transaction is open in this partition now."""
        header = transactional_header(records)
        if header is not None:
            forget_verification(partition, header.producer_id)


def _transactional_headers(
    broker: "Services", ctx: "RequestContext", topics: "Topics"
) -> "dict[TopicPartition, BatchHeader]":
    """Of the batches that would be appended but for their transaction."""
    headers = {}
    for topic, rows in topics:
        name = broker.replicas.name_of(topic) if isinstance(topic, Uuid) else topic
        for index, records in rows:
            if name is None or not broker.replicas.knows(name, index) or not _is_valid(records, ctx.api_version):
                continue
            header = transactional_header(records)
            if header is not None:
                headers[TopicPartition(name, index)] = header
    return headers


def _is_valid(records: "Records", version: int) -> bool:
    try:
        check_records(records, version)
    except KafkaError:
        return False
    return True
