"""AlterPartitionReassignments (45): begins and cancels reassignments (KIP-455, KIP-860)."""

from pykbroker.controller.controller import Controller
from pykbroker.controller.reassignment import Errors, Wanted, alter_reassignments
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.handlers.shared import require_time
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: AlterPartitionReassignmentsRequest
) -> AlterPartitionReassignmentsResponse:
    if not request.topics:
        return AlterPartitionReassignmentsResponse()
    require_time(request.timeout_ms)
    wanted = [
        Wanted(topic.name, partition.partition_index, partition.replicas)
        for topic in request.topics
        for partition in topic.partitions
    ]
    may_change_factor = request.allow_replication_factor_change

    def decide(image: MetadataImage) -> ControllerResult[Errors]:
        return alter_reassignments(image, controller.config, wanted, may_change_factor=may_change_factor)

    answered = await controller.execute(decide)
    errors = iter(answered)
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=may_change_factor,
        error_message=None,
        responses=[
            ReassignableTopicResponse(
                topic.name, [_row(each.partition_index, next(errors)) for each in topic.partitions]
            )
            for topic in request.topics
        ],
    )


def error_response(
    request: AlterPartitionReassignmentsRequest, error: KafkaError, version: int
) -> AlterPartitionReassignmentsResponse:
    """At the top and at every partition (AlterPartitionReassignmentsRequest.getErrorResponse)."""
    return AlterPartitionReassignmentsResponse(
        error_code=error.code,
        error_message=error.message,
        responses=[
            ReassignableTopicResponse(topic.name, [_row(each.partition_index, error) for each in topic.partitions])
            for topic in request.topics
        ],
    )


def _row(partition: int, error: KafkaError | None) -> ReassignablePartitionResponse:
    return ReassignablePartitionResponse(partition, error.code if error else 0, error.message if error else None)
