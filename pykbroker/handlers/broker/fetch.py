"""Fetch (1): records from where a client is, waiting for them if need be. KIP-74, KIP-227, KIP-320, KIP-516, KIP-951.
(KafkaApis.handleFetchRequest, ReplicaManager.fetchMessages)
"""

from collections.abc import Coroutine
from itertools import groupby
from operator import attrgetter
from typing import Any

from pykbroker.config.validate_node import RACK_AWARE
from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import endpoints
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.fast_fetch import encode_fetch_response
from pykbroker.protocol.fast_fetch_request import FetchQuery, decode_fetch_request
from pykbroker.protocol.messages.fetch import FetchableTopicResponse, FetchRequest, FetchResponse, PartitionData
from pykbroker.replica.delayed_fetch import DelayedFetch
from pykbroker.replica.fetch_read import (
    FOLLOWER_FETCH_FROM,
    READ_COMMITTED,
    FetchedPartition,
    FetchParams,
    FetchResult,
    read_partitions,
)
from pykbroker.replica.fetch_session import (
    FINAL_EPOCH,
    INITIAL_EPOCH,
    NO_SESSION,
    FetchRow,
    FetchSession,
    RowKey,
)
from pykbroker.request import RawResponse, RequestContext, Services

FAST = True
# Nothing of the frame is needed once the request is decoded: a waiting fetch gives its buffer back.
KEEPS_FRAME = False
TOPIC_IDS_FROM = 13
LEADERS_FROM = 16
STORAGE_ERROR_FROM = 6
TOP_LEVEL_ERRORS_FROM = 13
# Of all fetches that wait, some 500 bytes each.
MAX_WAITING_ROWS = 200_000
WITH_LEADER = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)
SESSION_ERRORS = (
    ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
    ErrorCode.INVALID_FETCH_SESSION_EPOCH,
    ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
)
_TOPIC_OF = attrgetter("row.topic")


def handle_frame(
    broker: Services, ctx: RequestContext, frame: memoryview, position: int
) -> RawResponse | Coroutine[Any, Any, RawResponse]:
    """Raises KafkaError for errors of the session and of the request as a whole."""
    query, _ = decode_fetch_request(frame, ctx.api_version, position)
    if not 0 <= query.isolation_level <= READ_COMMITTED:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"Unknown isolation level {query.isolation_level}")
    fetch = Fetch(broker, ctx, query)
    result = fetch.read()
    if query.max_wait_ms <= 0 or fetch.is_enough(result) or not fetch.may_wait:
        return fetch.answer(result)
    return fetch.wait(result)


class Fetch:
    """One request on its way. `session` None: a full fetch, which may open one."""

    __slots__ = ("broker", "ctx", "epoch", "may_open", "params", "query", "rows", "session")

    def __init__(self, broker: Services, ctx: RequestContext, query: FetchQuery) -> None:
        """Raises KafkaError for errors of the session (FetchManager.newContext)."""
        self.broker = broker
        self.ctx = ctx
        self.query = query
        max_bytes = min(query.max_bytes, broker.config.fetch_max_bytes)
        self.params = FetchParams(
            query.replica_id,
            query.isolation_level,
            min(query.min_bytes, max_bytes),
            max_bytes,
            query.replica_id >= 0 or ctx.api_version < FOLLOWER_FETCH_FROM,
            query.replica_epoch,
            query.rack_id if broker.config.replica_selector_class == RACK_AWARE and query.replica_id < 0 else "",
        )
        # Of several entries for one partition the last counts, in the place of the first.
        rows: dict[RowKey, FetchRow] = {
            (topic, partition): FetchRow(topic, partition, epoch, offset, last_epoch, max_bytes, log_start)
            for topic, partition, epoch, offset, last_epoch, log_start, max_bytes in query.rows
        }
        self.session: FetchSession | None = None
        self.epoch = FINAL_EPOCH
        self.rows = rows
        self.may_open = query.session_epoch == INITIAL_EPOCH
        if self.may_open or query.session_epoch == FINAL_EPOCH:
            if query.session_id != NO_SESSION:
                broker.fetch_sessions.remove(query.session_id)
        else:
            self._resume(rows)

    def _resume(self, asked: dict[RowKey, FetchRow]) -> None:
        query = self.query
        session = self.broker.fetch_sessions.resume(
            query.session_id, query.session_epoch, self.ctx.api_version >= TOPIC_IDS_FROM, asked, query.forgotten
        )
        if session is not None:
            self.session = session
            self.epoch = session.epoch
            self.rows = session.rows

    def read(self, *, is_first: bool = True) -> FetchResult:
        return read_partitions(self.broker.replicas, self.rows.values(), self.params, is_first=is_first)

    def is_enough(self, result: FetchResult) -> bool:
        return result.must_answer or result.size >= self.params.min_bytes

    @property
    def may_wait(self) -> bool:
        """Waiting keeps rows in memory: when too many clients wait with too many, more are answered early instead."""
        return self.broker.replicas.waiting_rows + len(self.rows) <= MAX_WAITING_ROWS

    async def wait(self, result: FetchResult) -> RawResponse:
        """Until min.bytes are there, a partition goes wrong, or max.wait is over."""
        deadline = self.ctx.received_at + self.query.max_wait_ms / 1000
        replicas, rows = self.broker.replicas, len(self.rows)
        replicas.waiting_rows += rows
        try:
            in_time = True
            while in_time and not self.is_enough(result):
                in_time = await self._wait_for_change(result, deadline)
                before = result.count
                result = self.read(is_first=False)
                if result.count < before:
                    break  # a partition is gone: its client wants to know
        finally:
            replicas.waiting_rows -= rows
        return self.answer(result)

    async def _wait_for_change(self, result: FetchResult, deadline: float) -> bool:
        """False when the deadline passed."""
        pending: Pending[None] = Pending()
        missing = self.params.min_bytes - result.size
        waiting = DelayedFetch(
            result.awaited(),
            missing,
            self.params.is_read_committed,
            lambda: pending.try_complete(None),
            reads_to_end=self.params.replica_id >= 0,
        )
        waiting.arm()
        try:
            return await pending.wait_until(deadline)
        finally:
            waiting.disarm()

    def answer(self, result: FetchResult) -> RawResponse:
        session_id = NO_SESSION
        fetched = result.partitions
        if self.session is not None:
            session_id = self.session.id
            if self.session.epoch != self.epoch:
                return self._encode([], session_id, ErrorCode.INVALID_FETCH_SESSION_EPOCH)
            fetched = self._news(self.session, fetched)
        elif self.may_open:
            for one in fetched:
                tell(one)
            session_id = self.broker.fetch_sessions.create(
                self.rows, self.ctx.api_version >= TOPIC_IDS_FROM, self.query.replica_id >= 0
            )
        self._count_throttled(fetched)
        return self._encode(fetched, session_id)

    def _news(self, session: FetchSession, fetched: list[FetchedPartition]) -> list[FetchedPartition]:
        """What an incremental answer names."""
        news = []
        for one in fetched:
            if tell(one) or one.size or one.diverging is not None or one.preferred_read_replica >= 0:
                news.append(one)
            if one.size:
                session.move_to_end(one.row)
        return news

    def _count_throttled(self, fetched: list[FetchedPartition]) -> None:
        """What followers take of the replicas that the leader's throttle is for (sizeOfThrottledPartitions)."""
        replication = self.broker.replicas.replication
        if replication is None or self.query.replica_id < 0:
            return
        throttle = replication.leader_throttle
        size = sum(one.size for one in fetched if one.partition is not None and throttle.is_throttled(one.partition))
        if size:
            throttle.record(size)

    def _encode(self, fetched: list[FetchedPartition], session_id: int, error_code: int = 0) -> RawResponse:
        version = self.ctx.api_version
        nodes: list[tuple[int, str, int]] = []
        if any(one.error_code for one in fetched):
            fetched = [self._explained(one) if one.error_code else one for one in fetched]
            nodes = self._endpoints(fetched)
        topics = [(topic, list(rows)) for topic, rows in groupby(fetched, _TOPIC_OF)]
        parts, size = encode_fetch_response(
            version, topics, error_code=error_code, session_id=session_id, endpoints=nodes
        )
        return RawResponse(parts, size)  # type: ignore[arg-type]  # Regions stand where the codec knows only objects

    def _explained(self, one: FetchedPartition) -> FetchedPartition:
        """An error as this version may know it, with the leader where that helps."""
        version = self.ctx.api_version
        if one.error_code == ErrorCode.KAFKA_STORAGE_ERROR and version < STORAGE_ERROR_FROM:
            return one._replace(error_code=ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if version >= LEADERS_FROM and one.error_code in WITH_LEADER and one.row.name is not None:
            return one._replace(current_leader=self.broker.replicas.leader_of(one.row.name, one.partition_index))
        return one

    def _endpoints(self, fetched: list[FetchedPartition]) -> list[tuple[int, str, int]]:
        """Where the leaders named in the rows are reached (KIP-951). Followers know."""
        leaders = {one.current_leader[0] for one in fetched if one.current_leader is not None}
        if self.query.replica_id >= 0:
            leaders.clear()
        return endpoints(self.broker, self.ctx, leaders)


def tell(one: FetchedPartition) -> bool:
    """Notes in the row what its client is told now; True when that is news.

    With a diverging epoch a follower truncates and takes no notice of the offsets: they are told again. (Kafka's
    CachedPartition takes them for told: its follower's high watermark stays behind until it moves again.)
    """
    is_error = one.error_code != 0 or one.diverging is not None
    return one.row.tell(one.high_watermark, one.log_start_offset, is_error=is_error)


def error_response(request: FetchRequest, error: KafkaError, version: int) -> FetchResponse:
    """A session's error alone, without session id (SessionErrorContext); any other also in every row before v13
    (FetchRequest.getErrorResponse)."""
    if error.code in SESSION_ERRORS:
        return FetchResponse(error_code=error.code)
    response = FetchResponse(error_code=error.code, session_id=request.session_id)
    if version < TOP_LEVEL_ERRORS_FROM:
        response.responses = [
            FetchableTopicResponse(
                topic=topic.topic,
                partitions=[
                    PartitionData(partition_index=row.partition, error_code=error.code, high_watermark=-1, records=b"")
                    for row in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    return response
