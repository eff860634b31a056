"""ListPartitionReassignments (46): the reassignments that go on (KIP-455)."""

from pykbroker.controller.controller import Controller
from pykbroker.controller.reassignment import Ongoing, ongoing
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    OngoingPartitionReassignment,
    OngoingTopicReassignment,
)
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: ListPartitionReassignmentsRequest
) -> ListPartitionReassignmentsResponse:
    topics = None
    if request.topics is not None:
        topics = [(topic.name, topic.partition_indexes) for topic in request.topics]

    def decide(image: MetadataImage) -> ControllerResult[list[tuple[str, list[Ongoing]]]]:
        return ControllerResult([], ongoing(image, topics))

    found = await controller.execute(decide)
    return ListPartitionReassignmentsResponse(
        error_message=None,
        topics=[OngoingTopicReassignment(topic, [_row(row) for row in rows]) for topic, rows in found],
    )


def _row(row: Ongoing) -> OngoingPartitionReassignment:
    return OngoingPartitionReassignment(
        partition_index=row.partition,
        replicas=list(row.replicas),
        adding_replicas=list(row.adding),
        removing_replicas=list(row.removing),
    )


def error_response(
    request: ListPartitionReassignmentsRequest, error: KafkaError, version: int
) -> ListPartitionReassignmentsResponse:
    return ListPartitionReassignmentsResponse(error_code=error.code, error_message=error.message)
