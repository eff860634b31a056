"""Produce (0): appends batches. KIP-98, KIP-360, KIP-467, KIP-516, KIP-951. (KafkaApis.handleProduceRequest)

Nothing waits: with one replica every acks level is satisfied when the batch is in the log.
"""

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.validator import RecordValidationError, check_produce_request
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from pykbroker.record.batch import (
    ATTRIBUTES_OFFSET,
    CURRENT_MAGIC,
    HEADER_SIZE,
    MAGIC_OFFSET,
    TRANSACTIONAL_BIT,
    batch_length_at,
)
from pykbroker.replica.partition import Partition
from pykbroker.request import RawResponse, RequestContext, Services

FAST = True
TOPIC_IDS_FROM = 13
LEADERS_FROM = 10
VALID_ACKS = (-1, 0, 1)
INTERNAL_TOPICS = ("__consumer_offsets", "__transaction_state", "__share_group_state")
# The one client that may write internal topics (AdminUtils.ADMIN_CLIENT_ID).
ADMIN_CLIENT_ID = "__admin_client"
# Errors whose row tells nothing of the log (ReplicaManager.appendToLocalLog).
_WITHOUT_LOG_START = frozenset(
    (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.RECORD_LIST_TOO_LARGE,
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.KAFKA_STORAGE_ERROR,
    )
)
_WITH_LEADER = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)


def handle_frame(broker: Services, ctx: RequestContext, frame: memoryview, position: int) -> RawResponse | None:
    """None for acks=0. Raises MalformedFrame for acks=0 that fails: the closed connection is the only answer."""
    request, _ = ProduceRequest.decode(frame, ctx.api_version, position)
    response = respond(broker, ctx, request)
    if request.acks == 0:
        refuse_silently(response)
        return None
    out = response.encode(ctx.api_version)
    return RawResponse([out], len(out))


def respond(broker: Services, ctx: RequestContext, request: ProduceRequest) -> ProduceResponse:
    """Raises KafkaError for an error of the whole request."""
    check_first_batches(request)
    now_ms = broker.clock.wall_ms()
    response = ProduceResponse()
    for topic in request.topic_data:
        rows = [produce(broker, ctx, request, topic, data, now_ms) for data in topic.partition_data]
        response.responses.append(
            TopicProduceResponse(name=topic.name, topic_id=topic.topic_id, partition_responses=rows)
        )
    if ctx.api_version >= LEADERS_FROM:
        add_endpoints(broker, ctx, response)
    return response


def check_first_batches(request: ProduceRequest) -> None:
    """A damaged first batch fails the whole request, as does a transactional one that nothing authorizes.

    Raises KafkaError: CORRUPT_MESSAGE, UNKNOWN_SERVER_ERROR, TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
    """
    for topic in request.topic_data:
        for data in topic.partition_data:
            records = data.records
            if not records:
                continue
            size = batch_length_at(records, 0)
            if size is None or not HEADER_SIZE <= size <= len(records) or records[MAGIC_OFFSET] != CURRENT_MAGIC:
                continue
            is_transactional = records[ATTRIBUTES_OFFSET + 1] & TRANSACTIONAL_BIT
            if is_transactional and request.transactional_id is None:
                raise KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)


def produce(
    broker: Services,
    ctx: RequestContext,
    request: ProduceRequest,
    topic: TopicProduceData,
    data: PartitionProduceData,
    now_ms: int,
) -> PartitionProduceResponse:
    """Appends to one partition; the row of the answer."""
    partition: Partition | None = None
    try:
        name = topic.name if ctx.api_version < TOPIC_IDS_FROM else name_of(broker, topic.topic_id)
        check_produce_request(data.records, ctx.api_version)
    except KafkaError as error:
        return PartitionProduceResponse(index=data.index, error_code=error.code, base_offset=-1)
    try:
        if request.acks not in VALID_ACKS:
            raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
        if name in INTERNAL_TOPICS and ctx.client_id != ADMIN_CLIENT_ID:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Cannot append to internal topic {name}")
        if request.transactional_id is not None:
            # Without a transaction coordinator every transactional id is unknown.
            raise KafkaError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        partition = broker.replicas.find(name, data.index)
        if partition is None:
            raise broker.replicas.missing(TopicPartition(name, data.index))
        records = data.records
        assert isinstance(records, (bytearray, memoryview))
        info = partition.append(records, request.acks, now_ms)
    except KafkaError as error:
        return failed_row(data.index, error, partition)
    return PartitionProduceResponse(
        index=data.index,
        base_offset=info.first_offset,
        log_append_time_ms=info.log_append_time,
        log_start_offset=info.log_start_offset,
    )


def name_of(broker: Services, topic_id: Uuid) -> str:
    """Raises KafkaError UNKNOWN_TOPIC_ID."""
    name = broker.replicas.name_of(topic_id)
    if name is not None:
        return name
    topic = broker.image.topics.by_id(topic_id)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
    return topic.name


def failed_row(index: int, error: KafkaError, partition: Partition | None) -> PartitionProduceResponse:
    row = PartitionProduceResponse(index=index, error_code=error.code, base_offset=-1)
    if partition is None or error.code in _WITHOUT_LOG_START:
        if partition is not None and error.code in _WITH_LEADER and partition.image is not None:
            row.current_leader = LeaderIdAndEpoch(partition.image.leader, partition.image.leader_epoch)
        return row
    row.log_start_offset = partition.log.log_start_offset
    if isinstance(error, RecordValidationError):
        row.record_errors = [BatchIndexAndErrorMessage(index, message) for index, message in error.record_errors]
        row.error_message = error.message
    return row


def add_endpoints(broker: Services, ctx: RequestContext, response: ProduceResponse) -> None:
    """Where the leaders named in the rows are reached (KIP-951)."""
    leaders = {
        row.current_leader.leader_id
        for topic in response.responses
        for row in topic.partition_responses
        if row.error_code and row.current_leader.leader_id >= 0
    }
    for node_id in sorted(leaders):
        host, port = broker.endpoint_for(ctx, node_id)
        response.node_endpoints.append(NodeEndpoint(node_id=node_id, host=host, port=port))


def refuse_silently(response: ProduceResponse) -> None:
    """Raises MalformedFrame when a row failed."""
    for topic in response.responses:
        for row in topic.partition_responses:
            if row.error_code:
                code = ErrorCode(row.error_code).name
                raise MalformedFrame(f"Produce with acks=0 to {topic.name}-{row.index} failed with {code}")


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
