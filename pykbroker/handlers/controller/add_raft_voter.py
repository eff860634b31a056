"""AddRaftVoter (80): another controller shall vote (KIP-853). This controller is a quorum of one, and stays it."""

from pykbroker.controller.controller import Controller
from pykbroker.errors import KafkaError
from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.add_raft_voter import AddRaftVoterRequest, AddRaftVoterResponse
from pykbroker.raft.other_voters import replica_key, replica_keys, voters
from pykbroker.request import RequestContext


async def handle(controller: Controller, ctx: RequestContext, request: AddRaftVoterRequest) -> AddRaftVoterResponse:
    state = controller.leader_state
    if not state.is_this_cluster(request.cluster_id):
        raise KafkaError(
            ErrorCode.INCONSISTENT_CLUSTER_ID,
            f'The given id "{request.cluster_id}" doesn\'t match the cluster id "{state.cluster_id}"',
        )
    if request.voter_id < 0 or request.voter_directory_id == ZERO_UUID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Add voter request didn't include a valid voter")
    level = state.log.quorum.kraft_version
    if not level:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            f"Cluster doesn't support adding voter because the kraft.version feature is {level}",
        )
    present = voters(state)
    if request.voter_id in (voter_id for voter_id, _ in present):
        key = replica_key(request.voter_id, request.voter_directory_id)
        raise KafkaError(
            ErrorCode.DUPLICATE_VOTER,
            f"The voter id for {key} is already part of the set of voters {replica_keys(present)}.",
        )
    raise KafkaError(
        ErrorCode.UNSUPPORTED_VERSION,
        f"pykbroker's controller {controller.node_id} is a quorum of one: to have more voters, let Apache Kafka's "
        "controller take over its metadata log",
    )


def error_response(request: AddRaftVoterRequest, error: KafkaError, version: int) -> AddRaftVoterResponse:
    return AddRaftVoterResponse(error_code=error.code, error_message=error.message)
