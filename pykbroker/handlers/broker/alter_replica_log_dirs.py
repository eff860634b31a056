"""AlterReplicaLogDirs (34): which log directory a replica shall lie in, now or once it is here (KIP-113)."""

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: AlterReplicaLogDirsRequest
) -> AlterReplicaLogDirsResponse:
    """Of a partition that is named twice the last directory counts."""
    wanted = {
        TopicPartition(topic.name, partition): directory.path
        for directory in request.dirs
        for topic in directory.topics
        for partition in topic.partitions
    }
    return _response({tp: _alter(broker, tp, path) for tp, path in wanted.items()})


def _alter(broker: Services, tp: TopicPartition, path: str) -> int:
    try:
        broker.replicas.directories.alter(tp, path)
    except KafkaError as error:
        return error.code
    return ErrorCode.NONE


def _response(codes: dict[TopicPartition, int]) -> AlterReplicaLogDirsResponse:
    topics: dict[str, list[AlterReplicaLogDirPartitionResult]] = {}
    for tp, code in codes.items():
        topics.setdefault(tp.topic, []).append(AlterReplicaLogDirPartitionResult(tp.partition, code))
    return AlterReplicaLogDirsResponse(results=[AlterReplicaLogDirTopicResult(*topic) for topic in topics.items()])


def error_response(request: AlterReplicaLogDirsRequest, error: KafkaError, version: int) -> AlterReplicaLogDirsResponse:
    """Every partition gets the error (AlterReplicaLogDirsRequest.getErrorResponse)."""
    return _response(
        {
            TopicPartition(topic.name, partition): error.code
            for directory in request.dirs
            for topic in directory.topics
            for partition in topic.partitions
        }
    )
