"""RemoveRaftVoter (81): a controller shall no longer vote (KIP-853). The only one must."""

from pykbroker.controller.controller import Controller
from pykbroker.errors import KafkaError
from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest, RemoveRaftVoterResponse
from pykbroker.raft.other_voters import replica_key, replica_keys, voters
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: RemoveRaftVoterRequest
) -> RemoveRaftVoterResponse:
    state = controller.leader_state
    if not state.is_this_cluster(request.cluster_id):
        raise KafkaError(
            ErrorCode.INCONSISTENT_CLUSTER_ID,
            f'The given id "{request.cluster_id}" doesn\'t match the cluster id "{state.cluster_id}"',
        )
    if request.voter_id < 0 or request.voter_directory_id == ZERO_UUID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Remove voter request didn't include a valid voter")
    level = state.log.quorum.kraft_version
    if not level:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            f"Cluster doesn't support removing voter because the kraft.version feature is {level}",
        )
    key, present = (request.voter_id, request.voter_directory_id), voters(state)
    if key not in present:
        raise KafkaError(
            ErrorCode.VOTER_NOT_FOUND,
            f"Cannot remove voter {replica_key(*key)} from the set of voters {replica_keys(present)}",
        )
    raise KafkaError(ErrorCode.INVALID_REQUEST, f"Cannot remove voter {replica_key(*key)}: it is the only one")


def error_response(request: RemoveRaftVoterRequest, error: KafkaError, version: int) -> RemoveRaftVoterResponse:
    return RemoveRaftVoterResponse(error_code=error.code, error_message=error.message)
