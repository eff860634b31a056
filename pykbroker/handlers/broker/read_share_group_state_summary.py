"""ReadShareGroupStateSummary (87): start offset and epochs of a share partition, without its batches. KIP-932."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.messages.read_share_group_state_summary import (
    PartitionResult,
    ReadShareGroupStateSummaryRequest,
    ReadShareGroupStateSummaryResponse,
    ReadStateSummaryResult,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: ReadShareGroupStateSummaryRequest
) -> ReadShareGroupStateSummaryResponse:
    return await broker.share_coordinator.read_summary(request)


def error_response(
    request: ReadShareGroupStateSummaryRequest, error: KafkaError, version: int
) -> ReadShareGroupStateSummaryResponse:
    """Every partition gets the error (ReadShareGroupStateSummaryRequest.getErrorResponse)."""
    return ReadShareGroupStateSummaryResponse(
        results=[
            ReadStateSummaryResult(
                topic.topic_id, [PartitionResult(row.partition, error.code, error.message) for row in topic.partitions]
            )
            for topic in request.topics
        ]
    )
