"""AlterReplicaLogDirs (34): a replica shall lie in another log directory of its broker (KIP-113)."""

import logging

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

LOG = logging.getLogger(__name__)
# A replica that comes is in topic-partition.uniqueid-future: a file name has 255 bytes.
_LONGEST_NAME = 255 - len(".00000000000000000000000000000000-future")


async def handle(
    broker: Services, ctx: RequestContext, request: AlterReplicaLogDirsRequest
) -> AlterReplicaLogDirsResponse:
    wanted = {
        TopicPartition(topic.name, index): directory.path
        for directory in request.dirs
        for topic in directory.topics
        for index in topic.partitions
    }
    rows: dict[str, list[AlterReplicaLogDirPartitionResult]] = {}
    for tp, path in wanted.items():
        code = error_code(broker, tp, path)
        rows.setdefault(tp.topic, []).append(AlterReplicaLogDirPartitionResult(tp.partition, code))
    return AlterReplicaLogDirsResponse(
        results=[AlterReplicaLogDirTopicResult(name, found) for name, found in rows.items()]
    )


def error_code(broker: Services, tp: TopicPartition, path: str) -> int:
    """Nothing to do where the replica lies there already. Moves between directories are refused, and said to be."""
    if len(str(tp)) > _LONGEST_NAME:
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    directory = next((one for one in broker.logs.directories if one.path == path), None)
    if directory is None:
        return ErrorCode.LOG_DIR_NOT_FOUND
    if not directory.is_online:
        return ErrorCode.KAFKA_STORAGE_ERROR
    try:
        broker.replicas.partition(tp)
    except KafkaError as error:
        # The name that clients know from before KIP-113's time.
        is_elsewhere = error.code == ErrorCode.NOT_LEADER_OR_FOLLOWER
        return ErrorCode.REPLICA_NOT_AVAILABLE if is_elsewhere else error.code
    if broker.logs.directory_of(tp) is directory:
        return ErrorCode.NONE
    LOG.warning("Cannot move %s to %s: pykbroker does not move replicas between log directories", tp, path)
    return ErrorCode.KAFKA_STORAGE_ERROR
