"""DescribeLogDirs (35): which replica lies in which directory, and how large it is. KIP-113, KIP-827, KIP-1066."""

from collections.abc import Mapping

from pykbroker.log.log_dir import disk_space
from pykbroker.log.log_manager import LogDirectory
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)
from pykbroker.request import RequestContext, Services

Wanted = Mapping[str, frozenset[int]] | None  # None: everything


async def handle(broker: Services, ctx: RequestContext, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse:
    wanted: Wanted = None
    if request.topics is not None:
        wanted = {topic.topic: frozenset(topic.partitions) for topic in request.topics}
    return DescribeLogDirsResponse(
        results=[describe(broker, directory, wanted) for directory in broker.logs.directories]
    )


def describe(broker: Services, directory: LogDirectory, wanted: Wanted) -> DescribeLogDirsResult:
    if not directory.is_online:
        return DescribeLogDirsResult(error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=directory.path)
    topics: dict[str, list[DescribeLogDirsPartition]] = {}
    for partition in broker.replicas:
        tp = partition.topic_partition
        if broker.logs.directory_of(tp) is not directory:
            continue
        if wanted is not None and tp.partition not in wanted.get(tp.topic, ()):
            continue
        lag = max(partition.log.high_watermark - partition.log.log_end_offset, 0)
        row = DescribeLogDirsPartition(tp.partition, partition.log.size, lag, False)
        topics.setdefault(tp.topic, []).append(row)
    total, usable = disk_space(directory.path)
    return DescribeLogDirsResult(
        log_dir=directory.path,
        topics=[DescribeLogDirsTopic(name, rows) for name, rows in topics.items()],
        total_bytes=total,
        usable_bytes=usable,
    )
