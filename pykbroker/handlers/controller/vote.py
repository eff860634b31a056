"""Vote (52): a stranger wants to lead (KIP-595, KIP-996). The only voter leads itself and grants nothing."""

from pykbroker.controller.controller import Controller
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.vote import (
    NodeEndpoint,
    PartitionData,
    VoteRequest,
    VoteResponse,
    VoteResponsePartitionData,
    VoteResponseTopicData,
)
from pykbroker.raft.leader_state import LeaderState
from pykbroker.raft.other_voters import error_of_request, error_of_voter
from pykbroker.request import RequestContext


async def handle(controller: Controller, ctx: RequestContext, request: VoteRequest) -> VoteResponse:
    state = controller.leader_state
    if error := error_of_request(state, request.cluster_id, request.topics):
        return VoteResponse(error_code=error)
    topic = request.topics[0]
    leader = state.leader(ctx.listener_name, (ctx.local_host, ctx.local_port))
    row = VoteResponsePartitionData(0, _error(state, topic.partitions[0]), leader.id, leader.epoch, vote_granted=False)
    host, port = leader.address
    endpoints = [NodeEndpoint(leader.id, host, port)] if ctx.api_version >= 1 else []
    return VoteResponse(topics=[VoteResponseTopicData(topic.topic_name, [row])], node_endpoints=endpoints)


def _error(state: LeaderState, asked: PartitionData) -> int:
    last, epoch = asked.last_offset_epoch, asked.replica_epoch
    is_illegal = last > epoch if asked.pre_vote else last >= epoch
    if asked.last_offset < 0 or last < 0 or is_illegal:
        return ErrorCode.INVALID_REQUEST
    return error_of_voter(state, asked.replica_id, epoch)
