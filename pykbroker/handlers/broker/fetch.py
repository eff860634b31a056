"""Fetch (1): records from where a client is, waiting for them if need be. KIP-74, KIP-227, KIP-320, KIP-516, KIP-951.
(KafkaApis.handleFetchRequest, ReplicaManager.fetchMessages)
"""

from collections.abc import Iterable
from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.fast_fetch import encode_fetch_response
from pykbroker.protocol.messages.fetch import FetchRequest, FetchResponse
from pykbroker.replica.delayed_fetch import DelayedFetch
from pykbroker.replica.fetch_read import READ_COMMITTED, FetchedPartition, failed, read_partition
from pykbroker.replica.fetch_session import FINAL_EPOCH, INITIAL_EPOCH, NO_SESSION, FetchRow, FetchSession, TopicKey
from pykbroker.replica.partition import Partition
from pykbroker.request import RawResponse, RequestContext, Services

TOPIC_IDS_FROM = 13
LEADERS_FROM = 16
CONSUMER = -1
_WITH_LEADER = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)


class Context(NamedTuple):
    """What a request asks: `session` None for a full fetch, which may open one."""

    rows: list[FetchRow]
    session: FetchSession | None
    may_open: bool


async def handle(broker: Services, ctx: RequestContext, request: FetchRequest) -> RawResponse | FetchResponse:
    """Raises KafkaError for errors of the session."""
    uses_topic_ids = ctx.api_version >= TOPIC_IDS_FROM
    context = open_context(broker, request, uses_topic_ids)
    fetched = read_all(broker, ctx, request, context.rows)
    missing = wanted_bytes(request, fetched)
    if missing > 0:
        await wait_for_bytes(broker, ctx, request, fetched, missing)
        fetched = read_all(broker, ctx, request, context.rows)
    return answer(broker, ctx, request, context, fetched)


def open_context(broker: Services, request: FetchRequest, uses_topic_ids: bool) -> Context:
    """Which partitions are meant (FetchManager.newContext). Raises KafkaError."""
    asked = rows_of(request, uses_topic_ids)
    if request.session_epoch in (INITIAL_EPOCH, FINAL_EPOCH):
        if request.session_id != NO_SESSION:
            broker.fetch_sessions.remove(request.session_id)
        return Context(asked, None, request.session_epoch == INITIAL_EPOCH)
    session = broker.fetch_sessions.resume(request.session_id, request.session_epoch, uses_topic_ids)
    session.update(asked, forgotten_of(request, uses_topic_ids))
    if not session.rows:
        broker.fetch_sessions.remove(session.id)
        return Context([], None, False)
    session.advance()
    return Context(list(session.rows.values()), session, False)


def rows_of(request: FetchRequest, uses_topic_ids: bool) -> list[FetchRow]:
    return [
        FetchRow(
            topic.topic_id if uses_topic_ids else topic.topic,
            partition.partition,
            partition.fetch_offset,
            partition.partition_max_bytes,
            partition.current_leader_epoch,
            partition.last_fetched_epoch,
        )
        for topic in request.topics
        for partition in topic.partitions
    ]


def forgotten_of(request: FetchRequest, uses_topic_ids: bool) -> Iterable[tuple[TopicKey, int]]:
    for topic in request.forgotten_topics_data:
        key: TopicKey = topic.topic_id if uses_topic_ids else topic.topic
        for partition in topic.partitions:
            yield key, partition


def read_all(
    broker: Services, ctx: RequestContext, request: FetchRequest, rows: list[FetchRow]
) -> list[FetchedPartition]:
    """Reads in order until max.bytes are there; the first partition with data gives at least one batch (KIP-74)."""
    left = min(request.max_bytes, broker.config.fetch_max_bytes)
    min_one = True
    fetched = []
    for row in rows:
        result = read_row(broker, ctx, request, row, left, min_one)
        if result.size:
            min_one = False
            left = max(0, left - result.size)
        fetched.append(result)
    return fetched


def read_row(
    broker: Services, ctx: RequestContext, request: FetchRequest, row: FetchRow, max_bytes: int, min_one: bool
) -> FetchedPartition:
    partition = find(broker, row)
    if partition is None:
        return failed(row, error_of_missing(broker, row))
    try:
        return read_partition(partition, row, max_bytes, min_one=min_one, isolation_level=request.isolation_level)
    except KafkaError as error:
        leader = None
        if ctx.api_version >= LEADERS_FROM and error.code in _WITH_LEADER and partition.image is not None:
            leader = (partition.image.leader, partition.image.leader_epoch)
        return failed(row, error.code, leader)


def find(broker: Services, row: FetchRow) -> Partition | None:
    topic = row.topic
    name = broker.replicas.name_of(topic) if isinstance(topic, Uuid) else topic
    return broker.replicas.find(name, row.partition) if name is not None else None


def error_of_missing(broker: Services, row: FetchRow) -> int:
    """Why there is no such partition here."""
    topics = broker.image.topics
    topic = topics.by_id(row.topic) if isinstance(row.topic, Uuid) else topics.get(row.topic)
    if topic is None:
        return ErrorCode.UNKNOWN_TOPIC_ID if isinstance(row.topic, Uuid) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if row.partition in topic.partitions and broker.node_id not in topic.partitions[row.partition].replicas:
        return ErrorCode.NOT_LEADER_OR_FOLLOWER
    return broker.replicas.missing(TopicPartition(topic.name, row.partition)).code


def wanted_bytes(request: FetchRequest, fetched: list[FetchedPartition]) -> int:
    """How many bytes are missing; 0 when the answer should leave at once."""
    if request.max_wait_ms <= 0 or not fetched:
        return 0
    size = 0
    for result in fetched:
        if result.error_code or result.diverging is not None:
            return 0
        size += result.size
    return max(0, request.min_bytes - size)


async def wait_for_bytes(
    broker: Services, ctx: RequestContext, request: FetchRequest, fetched: list[FetchedPartition], missing: int
) -> None:
    """Until `missing` bytes more were appended, a partition changed, or max.wait is over."""
    pending: Pending[None] = Pending()
    partitions = {partition: result.row.fetch_offset for result in fetched if (partition := find(broker, result.row))}
    waiting = DelayedFetch(
        partitions, missing, request.isolation_level == READ_COMMITTED, lambda: pending.try_complete(None)
    )
    waiting.arm()
    try:
        await pending.wait_until(ctx.received_at + request.max_wait_ms / 1000)
    finally:
        waiting.disarm()


def answer(
    broker: Services, ctx: RequestContext, request: FetchRequest, context: Context, fetched: list[FetchedPartition]
) -> RawResponse:
    session_id = NO_SESSION
    if context.session is not None:
        session_id = context.session.id
        fetched = changed_rows(context.session, fetched)
    elif context.may_open:
        session_id = broker.fetch_sessions.create(
            [remember(result) for result in fetched], ctx.api_version >= TOPIC_IDS_FROM, request.replica_id != CONSUMER
        )
    topics: dict[TopicKey, list[FetchedPartition]] = {}
    for result in fetched:
        topics.setdefault(result.row.topic, []).append(result)
    parts, size = encode_fetch_response(
        ctx.api_version, list(topics.items()), session_id=session_id, endpoints=endpoints(broker, ctx, fetched)
    )
    return RawResponse(parts, size)  # type: ignore[arg-type]  # Regions stand where the codec knows only objects


def remember(result: FetchedPartition) -> FetchRow:
    """Notes in the row what its client is told."""
    row = result.row
    is_error = result.error_code != 0
    row.high_watermark = -1 if is_error else result.high_watermark
    row.log_start_offset = result.log_start_offset
    return row


def changed_rows(session: FetchSession, fetched: list[FetchedPartition]) -> list[FetchedPartition]:
    """What an incremental answer names (CachedPartition.maybeUpdateResponseData)."""
    changed = []
    for result in fetched:
        row = result.row
        is_news = (
            result.size > 0
            or result.error_code != 0
            or result.diverging is not None
            or result.high_watermark != row.high_watermark
            or result.log_start_offset != row.log_start_offset
        )
        remember(result)
        if is_news:
            changed.append(result)
        if result.size:
            session.move_to_end(row)
    return changed


def endpoints(broker: Services, ctx: RequestContext, fetched: list[FetchedPartition]) -> list[tuple[int, str, int]]:
    """Where the leaders named in the rows are reached (KIP-951)."""
    leaders = {
        result.current_leader[0] for result in fetched if result.current_leader and result.current_leader[0] >= 0
    }
    return [(node_id, *broker.endpoint_for(ctx, node_id)) for node_id in sorted(leaders)]


def error_response(request: FetchRequest, error: KafkaError, version: int) -> FetchResponse:
    """A session's error alone, session id 0 (FetchRequest.getErrorResponse, SessionErrorContext)."""
    return FetchResponse(error_code=error.code)
