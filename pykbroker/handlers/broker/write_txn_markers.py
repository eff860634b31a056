"""WriteTxnMarkers (27): coordinators, and admins that end a hanging transaction, write markers. KIP-98, 664, 1228."""

from typing import NamedTuple

from pykbroker.coordinator.shard import Marker
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from pykbroker.request import RequestContext, Services


class Waiting(NamedTuple):
    row: WritableTxnMarkerPartitionResult
    pending: Pending[None]


async def handle(broker: Services, ctx: RequestContext, request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse:
    waiting: list[Waiting] = []
    results: dict[int, WritableTxnMarkerResult] = {}
    for marker in request.markers:
        result = results.setdefault(marker.producer_id, WritableTxnMarkerResult(producer_id=marker.producer_id))
        _write(broker, marker, result, waiting)
    deadline = ctx.received_at + broker.config.request_timeout_ms / 1000
    for row, pending in waiting:
        row.error_code = await _outcome(pending, deadline)
    return WriteTxnMarkersResponse(markers=list(results.values()))


def error_response(request: WriteTxnMarkersRequest, error: KafkaError, version: int) -> WriteTxnMarkersResponse:
    return WriteTxnMarkersResponse(
        markers=[
            WritableTxnMarkerResult(
                producer_id=marker.producer_id,
                topics=[
                    WritableTxnMarkerTopicResult(
                        name=topic.name,
                        partitions=[
                            WritableTxnMarkerPartitionResult(index, error.code) for index in topic.partition_indexes
                        ],
                    )
                    for topic in marker.topics
                ],
            )
            for marker in request.markers
        ]
    )


def _write(
    broker: Services, wanted: WritableTxnMarker, result: WritableTxnMarkerResult, waiting: list[Waiting]
) -> None:
    marker = Marker(
        wanted.producer_id,
        wanted.producer_epoch,
        wanted.coordinator_epoch,
        wanted.transaction_result,
        wanted.transaction_version,
    )
    for topic in wanted.topics:
        answer = WritableTxnMarkerTopicResult(name=topic.name)
        result.topics.append(answer)
        for index in topic.partition_indexes:
            row = WritableTxnMarkerPartitionResult(partition_index=index)
            answer.partitions.append(row)
            try:
                pending = broker.transactions.marker_writer.write(TopicPartition(topic.name, index), marker)
            except KafkaError as error:
                row.error_code = error.code
            else:
                if pending is not None:
                    waiting.append(Waiting(row, pending))


async def _outcome(pending: Pending[None], deadline: float) -> int:
    if not await pending.wait_until(deadline):
        pending.try_fail(KafkaError(ErrorCode.REQUEST_TIMED_OUT))
    try:
        pending.result()
    except KafkaError as error:
        return error.code
    return ErrorCode.NONE
