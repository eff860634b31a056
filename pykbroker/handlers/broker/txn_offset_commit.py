"""TxnOffsetCommit (28): offsets of a group that count when the transaction commits. KIP-98, KIP-447, KIP-890.

Kafka: KafkaApis.handleTxnOffsetCommitRequest, GroupCoordinatorService.commitTransactionalOffsets.
"""

from typing import Final

from pykbroker.coordinator.errors import client_error
from pykbroker.coordinator.transaction.transaction_metadata import ProducerIdentity
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.metadata.topic_names import GROUP_METADATA_TOPIC
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)
from pykbroker.replica.transaction_admission import Admissions, txn_offset_commit_support
from pykbroker.replica.verifications import NO_SEQUENCE, Verification
from pykbroker.request import RequestContext, Services

LOAD_IN_PROGRESS_FROM: Final = 2  # older clients crash on it

Rows = dict[str, TxnOffsetCommitResponseTopic]


async def handle(broker: Services, ctx: RequestContext, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse:
    rows: Rows = {}
    known = []
    for topic in request.topics:
        image = broker.image.topics.get(topic.name)
        partitions = image.partitions if image is not None else {}
        missing = [row for row in topic.partitions if row.partition_index not in partitions]
        if missing:
            unknown = TxnOffsetCommitRequestTopic(name=topic.name, partitions=missing)
            _merge(rows, _failed([unknown], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
        existing = [row for row in topic.partitions if row.partition_index in partitions]
        if existing:
            known.append(TxnOffsetCommitRequestTopic(name=topic.name, partitions=existing))
    if known:
        request.topics = known
        _merge(rows, await _commit(broker, ctx, request))
    return TxnOffsetCommitResponse(topics=list(rows.values()))


def error_response(request: TxnOffsetCommitRequest, error: KafkaError, version: int) -> TxnOffsetCommitResponse:
    return TxnOffsetCommitResponse(topics=_failed(request.topics, error.code))


async def _commit(
    broker: Services, ctx: RequestContext, request: TxnOffsetCommitRequest
) -> list[TxnOffsetCommitResponseTopic]:
    try:
        if not request.group_id:
            raise KafkaError(ErrorCode.INVALID_GROUP_ID)
        guard = await _admitted(broker, ctx, request)
        return (await broker.groups.txn_offset_commit(ctx, request, guard)).topics
    except KafkaError as error:
        code = error.code
        if code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS and ctx.api_version < LOAD_IN_PROGRESS_FROM:
            code = ErrorCode.COORDINATOR_NOT_AVAILABLE
        return _failed(request.topics, code)


async def _admitted(broker: Services, ctx: RequestContext, request: TxnOffsetCommitRequest) -> Verification | None:
    """Raises KafkaError: the partition of the group is not in the transaction."""
    partition = TopicPartition(GROUP_METADATA_TOPIC, broker.groups.partition_for(request.group_id))
    admissions = Admissions(
        broker.replicas,
        broker.transactions,
        broker.config,
        broker.clock,
        request.transactional_id,
        ProducerIdentity(request.producer_id, request.producer_epoch),
        txn_offset_commit_support(ctx.api_version),
    )
    admission = (await admissions.of({partition: NO_SEQUENCE}))[partition]
    if admission.error:
        raise KafkaError(client_error(admission.error))
    return admission.guard


def _failed(topics: list[TxnOffsetCommitRequestTopic], code: int) -> list[TxnOffsetCommitResponseTopic]:
    return [
        TxnOffsetCommitResponseTopic(
            name=topic.name,
            partitions=[
                TxnOffsetCommitResponsePartition(partition_index=row.partition_index, error_code=code)
                for row in topic.partitions
            ],
        )
        for topic in topics
    ]


def _merge(rows: Rows, topics: list[TxnOffsetCommitResponseTopic]) -> None:
    """A topic comes once in the answer, whatever became of its partitions."""
    for topic in topics:
        existing = rows.setdefault(topic.name, topic)
        if existing is not topic:
            existing.partitions.extend(topic.partitions)
