"""ShareAcknowledge (79): what a member of a share group did with records, without fetching more. KIP-932, KIP-1222.
(KafkaApis.handleShareAcknowledgeRequest)
"""

from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import endpoints
from pykbroker.handlers.share_requests import (
    RENEW_FROM,
    WITH_LEADER,
    Acknowledging,
    leader_of,
    require_member,
)
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.share_acknowledge import (
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
    ShareAcknowledgeRequest,
    ShareAcknowledgeResponse,
    ShareAcknowledgeTopicResponse,
)
from pykbroker.request import RequestContext, Services
from pykbroker.share.share_session import FINAL_EPOCH, INITIAL_EPOCH, RowKey, SessionKey


async def handle(broker: Services, ctx: RequestContext, request: ShareAcknowledgeRequest) -> ShareAcknowledgeResponse:
    """Raises KafkaError for errors of the session and of the request as a whole."""
    group_id, member_id = require_member(broker, request.group_id, request.member_id)
    share = broker.share_partitions
    key = SessionKey(group_id, member_id)
    epoch = request.share_session_epoch
    if epoch == INITIAL_EPOCH:
        raise KafkaError(ErrorCode.INVALID_SHARE_SESSION_EPOCH)
    session = share.sessions.require(key, epoch)
    if epoch != FINAL_EPOCH:
        share.sessions.advance(session)
    acknowledging = Acknowledging(
        broker,
        group_id,
        member_id,
        knows_renewal=ctx.api_version >= RENEW_FROM,
        is_renew_ack=request.is_renew_ack,
    )
    acknowledging.start(request.topics)
    results = await acknowledging.results()
    if epoch == FINAL_EPOCH:
        share.release_session(key)
    return _answer(broker, ctx, group_id, results)


def _answer(
    broker: Services, ctx: RequestContext, group_id: str, results: dict[RowKey, KafkaError | None]
) -> ShareAcknowledgeResponse:
    topics: dict[Uuid, ShareAcknowledgeTopicResponse] = {}
    leaders: set[int] = set()
    for key, error in results.items():
        topic = topics.setdefault(key[0], ShareAcknowledgeTopicResponse(topic_id=key[0]))
        row = PartitionData(partition_index=key[1])
        topic.partitions.append(row)
        if error is None:
            continue
        row.error_code, row.error_message = error.code, error.message
        if error.code in WITH_LEADER:
            node_id, leader_epoch = leader_of(broker, key)
            row.current_leader = LeaderIdAndEpoch(leader_id=node_id, leader_epoch=leader_epoch)
            leaders.add(node_id)
    return ShareAcknowledgeResponse(
        acquisition_lock_timeout_ms=round(broker.share_partitions.limits.of(group_id).lock_duration * 1000),
        responses=list(topics.values()),
        node_endpoints=[
            NodeEndpoint(node_id=node_id, host=host, port=port)
            for node_id, host, port in endpoints(broker, ctx, leaders)
        ],
    )


def error_response(request: ShareAcknowledgeRequest, error: KafkaError, version: int) -> ShareAcknowledgeResponse:
    """The code alone, no message (ShareAcknowledgeRequest.getErrorResponse)."""
    return ShareAcknowledgeResponse(error_code=error.code)
