"""ElectLeaders (43): preferred and unclean elections on demand (KIP-183, KIP-460)."""

from pykbroker.controller.controller import Controller
from pykbroker.controller.elections import Outcome, elect_leaders
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.handlers.shared import require_time
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.enums import ElectionType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)
from pykbroker.request import RequestContext


async def handle(controller: Controller, ctx: RequestContext, request: ElectLeadersRequest) -> ElectLeadersResponse:
    wanted = None
    if request.topic_partitions is not None:
        wanted = [(topic.topic, topic.partitions) for topic in request.topic_partitions]
        if not wanted:
            return ElectLeadersResponse()
    require_time(request.timeout_ms)

    def decide(image: MetadataImage) -> ControllerResult[Outcome]:
        return elect_leaders(image, controller.config, _election_type(request.election_type), wanted)

    outcome = await controller.execute(decide)
    return ElectLeadersResponse(
        replica_election_results=[
            ReplicaElectionResult(topic=topic, partition_result=[PartitionResult(*row) for row in rows])
            for topic, rows in outcome
        ]
    )


def _election_type(number: int) -> ElectionType:
    try:
        return ElectionType(number)
    except ValueError:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown election type {number}") from None


def error_response(request: ElectLeadersRequest, error: KafkaError, version: int) -> ElectLeadersResponse:
    """All partitions that were named get the error (ElectLeadersRequest.getErrorResponse)."""
    return ElectLeadersResponse(
        error_code=error.code if version else 0,
        replica_election_results=[
            ReplicaElectionResult(
                topic=topic.topic,
                partition_result=[PartitionResult(index, error.code, error.message) for index in topic.partitions],
            )
            for topic in request.topic_partitions or ()
        ],
    )
