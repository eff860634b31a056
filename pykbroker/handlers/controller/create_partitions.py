"""CreatePartitions (37): more partitions for a topic (KIP-195)."""

from collections import Counter

from pykbroker.controller import partition_control
from pykbroker.controller.controller import Controller
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.handlers.shared import require_time
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopicResult,
)
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: CreatePartitionsRequest
) -> CreatePartitionsResponse:
    counts = Counter(topic.name for topic in request.topics)
    repeated = {name for name, count in counts.items() if count > 1}
    topics = [topic for topic in request.topics if topic.name not in repeated]

    def decide(image: MetadataImage) -> ControllerResult[list[CreatePartitionsTopicResult]]:
        return partition_control.create_partitions(image, topics, controller.rng, validate_only=request.validate_only)

    results = [
        CreatePartitionsTopicResult(
            name=name, error_code=ErrorCode.INVALID_REQUEST, error_message="Duplicate topic name."
        )
        for name in sorted(repeated)
    ]
    if topics:
        require_time(request.timeout_ms)
        answered = await controller.execute(decide)
        results += answered
    return CreatePartitionsResponse(results=results)


def error_response(request: CreatePartitionsRequest, error: KafkaError, version: int) -> CreatePartitionsResponse:
    """Every topic gets the error (CreatePartitionsRequest.getErrorResponse)."""
    rows = [
        CreatePartitionsTopicResult(name=t.name, error_code=error.code, error_message=error.message)
        for t in request.topics
    ]
    return CreatePartitionsResponse(results=rows)
