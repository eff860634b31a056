"""Produce (0): appends batches. KIP-98, KIP-360, KIP-467, KIP-516, KIP-951. (KafkaApis.handleProduceRequest)

With one replica nothing waits: every acks level is satisfied when the batch is in the log, or on disk where
flush.messages says so.
"""

from collections.abc import Coroutine
from typing import Any

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.handlers.cluster_view import endpoints
from pykbroker.ids import Uuid
from pykbroker.log.flush_loop import flush_appended
from pykbroker.log.unified_log import LogAppendInfo
from pykbroker.log.validator import RecordValidationError
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.fast_produce import (
    ProduceQuery,
    Records,
    ResponseRow,
    TopicKey,
    decode_produce_request,
    encode_produce_response,
)
from pykbroker.protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from pykbroker.replica.delayed_produce import DelayedProduce
from pykbroker.replica.partition import ACKS_ALL, Partition
from pykbroker.replica.produce_checks import check_first_batches, check_records, without_duplicates
from pykbroker.replica.transactional_produce import NotAdmitted, TransactionalProduce
from pykbroker.request import RawResponse, RequestContext, Services

FAST = True
LEADERS_FROM = 10
VALID_ACKS = (ACKS_ALL, 0, 1)
INTERNAL_TOPICS = frozenset(("__consumer_offsets", "__transaction_state", "__share_group_state"))
# The one client that may write internal topics (AdminUtils.ADMIN_CLIENT_ID).
ADMIN_CLIENT_ID = "__admin_client"
# Errors of the log whose row does not tell the log start offset (ReplicaManager.appendToLocalLog).
WITHOUT_LOG_START = frozenset(
    (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.RECORD_LIST_TOO_LARGE,
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.KAFKA_STORAGE_ERROR,
    )
)
Where = tuple[int, int]  # position of the topic, position of the row in it


def handle_frame(
    broker: Services, ctx: RequestContext, frame: memoryview, position: int
) -> RawResponse | Coroutine[Any, Any, RawResponse | None] | None:
    """None for acks=0. Raises MalformedFrame for acks=0 that fails: the closed connection is the only answer;
    KafkaError for an error of the whole request."""
    request, _ = decode_produce_request(frame, ctx.api_version, position)
    are_plain = check_first_batches(request, ctx.api_version)
    produce = Produce(broker, ctx, request, are_plain)
    if not are_plain and request.transactional_id is not None:
        return _produce_transactional(produce)
    for topic, rows in without_duplicates(request.topics):
        produce.append_topic(topic, rows)
    if produce.unflushed:
        return produce.wait_for_disk()
    if request.acks == 0:
        produce.refuse_silently()
        return None
    if produce.required:
        return produce.wait_for_replicas()
    return produce.answer()


async def _produce_transactional(produce: "Produce") -> RawResponse | None:
    """The coordinator of the transaction is asked before anything is appended. Raises KafkaError, MalformedFrame."""
    topics = without_duplicates(produce.request.topics)
    produce.transaction = await TransactionalProduce.admitted(produce.broker, produce.ctx, produce.request, topics)
    for topic, rows in topics:
        produce.append_topic(topic, rows)
    if produce.unflushed:
        return await produce.wait_for_disk()
    if produce.request.acks == 0:
        produce.refuse_silently()
        return None
    return await produce.wait_for_replicas() if produce.required else produce.answer()


class Produce:
    """One request on its way. `details`: rows that say more than numbers; `required`: high watermarks to wait for;
    `unflushed`: appends that wait for the disk."""

    __slots__ = (
        "broker",
        "ctx",
        "details",
        "is_sound",
        "now_ms",
        "request",
        "required",
        "topics",
        "transaction",
        "unflushed",
    )

    def __init__(self, broker: Services, ctx: RequestContext, request: ProduceQuery, are_plain: bool) -> None:
        self.broker = broker
        # The request gives no reason to look closer at a row before the log does.
        self.is_sound = are_plain and request.acks in VALID_ACKS
        self.ctx = ctx
        self.request = request
        self.now_ms = broker.clock.wall_ms()
        self.topics: list[tuple[TopicKey, list[ResponseRow]]] = []
        self.details: dict[Where, PartitionProduceResponse] = {}
        self.required: dict[Partition, tuple[Where, int]] = {}
        self.transaction: TransactionalProduce | None = None
        self.unflushed: list[tuple[Partition, Where, LogAppendInfo]] | None = None

    def append_topic(self, topic: TopicKey, asked: list[tuple[int, Records]]) -> None:
        name = self.broker.replicas.name_of(topic) if isinstance(topic, Uuid) else topic
        rows: list[ResponseRow] = []
        self.topics.append((topic, rows))
        for index, records in asked:
            if name is None:
                rows.append((index, ErrorCode.UNKNOWN_TOPIC_ID, -1, -1, -1))
            else:
                rows.append(self._append(name, index, records))

    def _append(self, name: str, index: int, records: Records) -> ResponseRow:
        partition = self.broker.replicas.find(name, index)
        if partition is None or not self.is_sound or name in INTERNAL_TOPICS:
            code = self._refuse(name, index, records, partition)
            if code:
                return index, code, -1, -1, -1
        assert partition is not None
        assert records is not None
        acks = self.request.acks
        try:
            info = partition.append(records, acks, self.now_ms)
        except KafkaError as error:
            return self._failed(name, index, error, partition)
        if self.transaction is not None and not info.duplicate:
            self.transaction.on_append(partition, records)
        if info.flush_due:
            self.unflushed = [*(self.unflushed or ()), (partition, self._where(), info)]
        elif acks == ACKS_ALL and partition.log.high_watermark <= info.last_offset:
            self.required[partition] = (self._where(), info.last_offset + 1)
        return index, 0, info.first_offset, info.log_append_time, info.log_start_offset

    def _refuse(self, name: str, index: int, records: Records, partition: Partition | None) -> int:
        """The error of what is refused before the log sees it, 0 when there is none."""
        replicas = self.broker.replicas
        try:
            if partition is None and not replicas.knows(name, index):
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            check_records(records, self.ctx.api_version)
            if self.transaction is not None:
                self.transaction.check(name, index, records, partition)
            if self.request.acks not in VALID_ACKS:
                raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
            if name in INTERNAL_TOPICS and self.ctx.client_id != ADMIN_CLIENT_ID:
                raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION)
            if partition is None:
                raise replicas.missing(name, index)
        except KafkaError as error:
            self._tell_leader(name, index, error.code)
            if isinstance(error, NotAdmitted) and error.message:
                self.details[self._where()] = PartitionProduceResponse(error_message=error.message)
            return error.code
        return 0

    def _failed(self, name: str, index: int, error: KafkaError, partition: Partition) -> ResponseRow:
        """The row of what the log refused."""
        self._tell_leader(name, index, error.code)
        if isinstance(error, RecordValidationError):
            errors = [BatchIndexAndErrorMessage(position, message) for position, message in error.record_errors]
            self.details[self._where()] = PartitionProduceResponse(record_errors=errors, error_message=error.message)
        start = -1 if error.code in WITHOUT_LOG_START else partition.log.log_start_offset
        return index, error.code, -1, -1, start

    def _tell_leader(self, name: str, index: int, code: int) -> None:
        if code == ErrorCode.NOT_LEADER_OR_FOLLOWER and self.ctx.api_version >= LEADERS_FROM:
            leader = LeaderIdAndEpoch(*self.broker.replicas.leader_of(name, index))
            self.details[self._where()] = PartitionProduceResponse(current_leader=leader)

    def _where(self) -> Where:
        """The row that comes next."""
        return len(self.topics) - 1, len(self.topics[-1][1])

    async def wait_for_disk(self) -> RawResponse | None:
        """flush.messages: nothing is answered before its fsync, which a thread does (UnifiedLog.append).

        One partition after the other, as in Kafka. None, and MalformedFrame raised, as handle_frame for acks=0.
        """
        for partition, where, info in self.unflushed or ():
            try:
                await flush_appended(partition.log)
            except KafkaError as error:
                self._fail(where, error.code)
                continue
            partition.on_flushed(info)
            is_committed = partition.is_leader and partition.log.high_watermark > info.last_offset
            if self.request.acks == ACKS_ALL and not is_committed:
                self.required[partition] = (where, info.last_offset + 1)
        if self.request.acks == 0:
            self.refuse_silently()
            return None
        return await self.wait_for_replicas() if self.required else self.answer()

    def _fail(self, where: Where, code: int) -> None:
        topic, row = where
        rows = self.topics[topic][1]
        rows[row] = (rows[row][0], code, -1, -1, -1)

    async def wait_for_replicas(self) -> RawResponse:
        """Until the high watermarks pass what was appended, or the request's timeout is over."""
        pending: Pending[None] = Pending()
        required = {partition: offset for partition, (_, offset) in self.required.items()}
        waiting = DelayedProduce(required, lambda: pending.try_complete(None))
        waiting.arm()
        if self.unflushed:
            waiting.on_change()  # it may have happened while the disk was waited for
        try:
            await pending.wait_until(self.ctx.received_at + self.request.timeout_ms / 1000)
        finally:
            waiting.disarm()
        for partition, ((topic, row), _) in self.required.items():
            rows = self.topics[topic][1]
            index, _, base_offset, append_time, log_start = rows[row]
            rows[row] = (index, waiting.errors[partition], base_offset, append_time, log_start)
        return self.answer()

    def answer(self) -> RawResponse:
        version = self.ctx.api_version
        out = self._detailed().encode(version) if self.details else encode_produce_response(version, self.topics)
        return RawResponse([out], len(out))

    def _detailed(self) -> ProduceResponse:
        response = ProduceResponse()
        leaders = set()
        for position, (topic, rows) in enumerate(self.topics):
            answer = TopicProduceResponse()
            if isinstance(topic, Uuid):
                answer.topic_id = topic
            else:
                answer.name = topic
            for place, row in enumerate(rows):
                full = self.details.get((position, place)) or PartitionProduceResponse()
                full.index, full.error_code, full.base_offset, full.log_append_time_ms, full.log_start_offset = row
                answer.partition_responses.append(full)
                leaders.add(full.current_leader.leader_id)
            response.responses.append(answer)
        for node_id, host, port in endpoints(self.broker, self.ctx, leaders):
            response.node_endpoints.append(NodeEndpoint(node_id=node_id, host=host, port=port))
        return response

    def refuse_silently(self) -> None:
        """Raises MalformedFrame when a row failed."""
        for topic, rows in self.topics:
            for index, code, *_ in rows:
                if code:
                    raise MalformedFrame(f"Produce with acks=0 to {topic}-{index} failed with {ErrorCode(code).name}")


def error_response(request: ProduceRequest, error: KafkaError, version: int) -> ProduceResponse:
    """Every partition gets the error (ProduceRequest.getErrorResponse). Raises MalformedFrame for acks=0."""
    if request.acks == 0:
        raise MalformedFrame(f"Produce with acks=0 failed: {error}")
    message = None if error.code == ErrorCode.UNKNOWN_SERVER_ERROR else error.message
    return ProduceResponse(
        responses=[
            TopicProduceResponse(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_responses=[
                    PartitionProduceResponse(
                        index=data.index, error_code=error.code, base_offset=-1, error_message=message
                    )
                    for data in topic.partition_data
                ],
            )
            for topic in request.topic_data
        ]
    )
