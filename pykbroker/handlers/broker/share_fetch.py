"""ShareFetch (78): records for a member of a share group, and what it did with those before. KIP-932, 1206, 1222.
(KafkaApis.handleShareFetchRequest, SharePartitionManager.newContext)
"""

from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import endpoints
from pykbroker.handlers.share_requests import (
    RENEW_FROM,
    WITH_LEADER,
    Acknowledging,
    connection_of,
    leader_of,
    require_member,
)
from pykbroker.ids import TopicIdPartition, Uuid
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.share_fetch import (
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
    ShareFetchableTopicResponse,
    ShareFetchRequest,
    ShareFetchResponse,
)
from pykbroker.request import RequestContext, Services
from pykbroker.share.delayed_share_fetch import Answer, DelayedShareFetch, ShareFetchParams
from pykbroker.share.led_partition import LedPartition
from pykbroker.share.share_session import (
    FINAL_EPOCH,
    INITIAL_EPOCH,
    RowKey,
    SessionKey,
    SessionRow,
    ShareSession,
    next_epoch,
)

BATCH_OPTIMIZED, RECORD_LIMIT = 0, 1  # ShareAcquireMode


async def handle(broker: Services, ctx: RequestContext, request: ShareFetchRequest) -> ShareFetchResponse:
    """Raises KafkaError for errors of the session and of the request as a whole."""
    group_id, member_id = require_member(broker, request.group_id, request.member_id)
    is_renew_ack = ctx.api_version >= RENEW_FROM and request.is_renew_ack
    if is_renew_ack:
        _require_no_fetch(request)
    fetch = ShareFetch(broker, ctx, request, SessionKey(group_id, member_id))
    try:
        fetch.open_session()
    except KafkaError as error:
        if error.code == ErrorCode.SHARE_SESSION_LIMIT_REACHED:
            await Pending[None]().wait_until(fetch.deadline)  # or its client asks again at once
        raise
    acknowledging = Acknowledging(
        broker, group_id, member_id, knows_renewal=ctx.api_version >= RENEW_FROM, is_renew_ack=is_renew_ack
    )
    if fetch.has_acknowledgements:
        acknowledging.start(request.topics)
    # Fetching may take longer than the locks just renewed last.
    answer = {} if is_renew_ack else await fetch.run()
    response = fetch.respond(answer)
    _add_acknowledged(response, await acknowledging.results())
    if request.share_session_epoch == FINAL_EPOCH:
        broker.share_partitions.release_session(fetch.key)
    return response


def _require_no_fetch(request: ShareFetchRequest) -> None:
    """Raises KafkaError INVALID_REQUEST."""
    if request.max_bytes or request.min_bytes or request.max_records or request.max_wait_ms:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, "max.bytes, min.bytes, max.records, max.wait.ms must be 0 if isRenewAck is true."
        )


class ShareFetch:
    """One request on its way. `session` None: with the initial or the final epoch."""

    def __init__(self, broker: Services, ctx: RequestContext, request: ShareFetchRequest, key: SessionKey) -> None:
        self.broker = broker
        self.ctx = ctx
        self.request = request
        self.key = key
        self.session: ShareSession | None = None
        self.rows: dict[RowKey, SessionRow] = {}
        self.deadline = ctx.received_at + max(0, request.max_wait_ms) / 1000

    @property
    def has_acknowledgements(self) -> bool:
        return any(row.acknowledgement_batches for topic in self.request.topics for row in topic.partitions)

    def open_session(self) -> None:
        """Raises KafkaError SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH, SHARE_SESSION_LIMIT_REACHED."""
        sessions, epoch = self.broker.share_partitions.sessions, self.request.share_session_epoch
        if epoch == FINAL_EPOCH:
            sessions.require(self.key)
        elif epoch == INITIAL_EPOCH:
            if self.has_acknowledgements:
                raise KafkaError(ErrorCode.INVALID_REQUEST)
            self.rows = sessions.create(self.key, self._asked(must_tell=False), connection_of(self.ctx)).rows
        else:
            session = sessions.require(self.key, epoch)
            forgotten = [
                (topic.topic_id, index) for topic in self.request.forgotten_topics_data for index in topic.partitions
            ]
            sessions.update(session, self._asked(must_tell=True).values(), forgotten)
            sessions.advance(session)
            self.session = session
            self.rows = session.rows

    def _asked(self, *, must_tell: bool) -> dict[RowKey, SessionRow]:
        topics = self.broker.image.topics
        rows: dict[RowKey, SessionRow] = {}
        for topic in self.request.topics:
            known = topics.by_id(topic.topic_id)
            for row in topic.partitions:
                key = (topic.topic_id, row.partition_index)
                name = None if known is None else known.name
                rows[key] = SessionRow(key, name, must_tell=must_tell)
        return rows

    async def run(self) -> Answer:
        """Raises KafkaError for an acquire mode that there is none of."""
        answer: Answer = {}
        wanted: list[TopicIdPartition] = []
        for (topic_id, index), row in self.rows.items():
            if row.name is None:
                answer[topic_id, index] = _error(index, ErrorCode.UNKNOWN_TOPIC_ID)
            elif self.broker.image.topics.partition(row.name, index) is None:
                answer[topic_id, index] = _error(index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            else:
                wanted.append(TopicIdPartition(topic_id, row.name, index))
        if wanted:
            answer = {**await self._fetch(self._rotated(wanted)), **answer}
        return answer

    def _rotated(self, wanted: list[TopicIdPartition]) -> list[TopicIdPartition]:
        """Each request begins with another partition, so that none starves behind max.records."""
        at = max(0, self.request.share_session_epoch) % len(wanted)
        return wanted[at:] + wanted[:at]

    async def _fetch(self, wanted: list[TopicIdPartition]) -> Answer:
        params = self._params()
        share = self.broker.share_partitions
        rows: dict[RowKey, LedPartition] = {}
        errors: dict[RowKey, KafkaError] = {}
        for topic in wanted:
            key = (topic.topic_id, topic.partition)
            try:
                rows[key] = share.open(self.key.group_id, topic)
            except KafkaError as error:
                errors[key] = error
        deadline = self.deadline if self.request.max_wait_ms > 0 else None
        return await DelayedShareFetch(share, params, rows, errors).run(deadline)

    def _params(self) -> ShareFetchParams:
        request = self.request
        if request.share_acquire_mode not in (BATCH_OPTIMIZED, RECORD_LIMIT):
            raise KafkaError(
                ErrorCode.UNKNOWN_SERVER_ERROR, f"Unknown share acquire mode id: {request.share_acquire_mode}"
            )
        max_bytes = min(request.max_bytes, self.broker.config.fetch_max_bytes)
        return ShareFetchParams(
            self.key.group_id,
            self.key.member_id,
            min(request.min_bytes, max_bytes),
            max_bytes,
            request.max_records,
            request.batch_size,
            request.share_acquire_mode == RECORD_LIMIT,
            self.broker.share_partitions.limits.isolation_level(self.key.group_id),
        )

    # -- the answer

    def respond(self, answer: Answer) -> ShareFetchResponse:
        response = ShareFetchResponse(
            acquisition_lock_timeout_ms=round(
                self.broker.share_partitions.limits.of(self.key.group_id).lock_duration * 1000
            )
        )
        if self.session is not None:
            if self.session.epoch != next_epoch(self.request.share_session_epoch):
                response.error_code = ErrorCode.INVALID_SHARE_SESSION_EPOCH
                return response
            answer = self._news(self.session, answer)
        topics: dict[Uuid, ShareFetchableTopicResponse] = {}
        for (topic_id, _), row in answer.items():
            topic = topics.setdefault(topic_id, ShareFetchableTopicResponse(topic_id=topic_id))
            topic.partitions.append(row)
        response.responses = list(topics.values())
        response.node_endpoints = self._endpoints(answer)
        return response

    def _news(self, session: ShareSession, answer: Answer) -> Answer:
        """What an answer within a session names."""
        news: Answer = {}
        for key, data in answer.items():
            row = session.rows.get(key)
            has_records = len(data.records) > 0
            if row is None or row.tell(has_records=has_records, is_error=data.error_code != 0):
                news[key] = data
            if row is not None and has_records:
                session.move_to_end(key)
        return news

    def _endpoints(self, answer: Answer) -> list[NodeEndpoint]:
        """Where the leaders are reached that clients should ask instead."""
        leaders: set[int] = set()
        for key, data in answer.items():
            if data.error_code in WITH_LEADER:
                node_id, leader_epoch = leader_of(self.broker, key)
                data.current_leader = LeaderIdAndEpoch(leader_id=node_id, leader_epoch=leader_epoch)
                leaders.add(node_id)
        return [
            NodeEndpoint(node_id=node_id, host=host, port=port)
            for node_id, host, port in endpoints(self.broker, self.ctx, leaders)
        ]


def _error(index: int, code: ErrorCode) -> PartitionData:
    return PartitionData(partition_index=index, error_code=code)


def _add_acknowledged(response: ShareFetchResponse, results: dict[RowKey, KafkaError | None]) -> None:
    """Every partition that was acknowledged is named."""
    topics = {topic.topic_id: topic for topic in response.responses}
    rows = {(topic.topic_id, row.partition_index): row for topic in response.responses for row in topic.partitions}
    for key, error in results.items():
        row = rows.get(key)
        if row is None:
            row = PartitionData(partition_index=key[1])
            topic = topics.get(key[0])
            if topic is None:
                topic = topics[key[0]] = ShareFetchableTopicResponse(topic_id=key[0])
                response.responses.append(topic)
            topic.partitions.append(row)
        if error is not None:
            row.acknowledge_error_code, row.acknowledge_error_message = error.code, error.message


def error_response(request: ShareFetchRequest, error: KafkaError, version: int) -> ShareFetchResponse:
    """The code alone, no message (ShareFetchRequest.getErrorResponse)."""
    return ShareFetchResponse(error_code=error.code)
