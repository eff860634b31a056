"""UpdateRaftVoter (82): a voter tells its new endpoints (KIP-853). The only one is this node, which tells nobody."""

from pykbroker.controller.controller import Controller
from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.update_raft_voter import CurrentLeader, UpdateRaftVoterRequest, UpdateRaftVoterResponse
from pykbroker.raft.leader_state import LeaderState
from pykbroker.raft.other_voters import voters
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: UpdateRaftVoterRequest
) -> UpdateRaftVoterResponse:
    leader = controller.leader_state.leader(ctx.listener_name, (ctx.local_host, ctx.local_port))
    return UpdateRaftVoterResponse(
        error_code=_error(controller.leader_state, request),
        current_leader=CurrentLeader(leader.id, leader.epoch, *leader.address),
    )


def _error(state: LeaderState, request: UpdateRaftVoterRequest) -> int:
    if not state.is_this_cluster(request.cluster_id):
        return ErrorCode.INCONSISTENT_CLUSTER_ID
    if error := state.error_of_epoch(request.current_leader_epoch):
        return error
    if request.voter_id < 0 or request.voter_directory_id == ZERO_UUID:
        return ErrorCode.INVALID_REQUEST
    present = voters(state)
    if present and (request.voter_id, request.voter_directory_id) not in present:
        return ErrorCode.VOTER_NOT_FOUND
    return ErrorCode.INVALID_REQUEST
