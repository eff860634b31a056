"""BeginQuorumEpoch (53): somebody else says that it leads now (KIP-595). There is no other voter."""

from pykbroker.controller.controller import Controller
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.begin_quorum_epoch import (
    BeginQuorumEpochRequest,
    BeginQuorumEpochResponse,
    BeginQuorumEpochResponsePartitionData,
    BeginQuorumEpochResponseTopicData,
    NodeEndpoint,
)
from pykbroker.raft.other_voters import error_of_request, error_of_voter
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: BeginQuorumEpochRequest
) -> BeginQuorumEpochResponse:
    state = controller.leader_state
    if error := error_of_request(state, request.cluster_id, request.topics):
        return BeginQuorumEpochResponse(error_code=error)
    topic = request.topics[0]
    asked = topic.partitions[0]
    # In the present epoch, or a later one, nobody but this node can lead.
    error = error_of_voter(state, asked.leader_id, asked.leader_epoch) or ErrorCode.INVALID_REQUEST
    leader = state.leader(ctx.listener_name, (ctx.local_host, ctx.local_port))
    row = BeginQuorumEpochResponsePartitionData(0, error, leader.id, leader.epoch)
    host, port = leader.address
    return BeginQuorumEpochResponse(
        topics=[BeginQuorumEpochResponseTopicData(topic.topic_name, [row])],
        node_endpoints=[NodeEndpoint(leader.id, host, port)] if ctx.api_version >= 1 else [],
    )
