"""DescribeLogDirs (35): which replica lies in which directory, and how large it is. KIP-113, KIP-827, KIP-1066."""

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

Wanted = dict[str, set[int]] | None  # None: everything


async def handle(broker: Services, ctx: RequestContext, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse:
    wanted: Wanted = None
    if request.topics is not None:
        wanted = {}
        for topic in request.topics:
            wanted.setdefault(topic.topic, set()).update(topic.partitions)
    return DescribeLogDirsResponse(
        results=[describe(broker, directory, wanted) for directory in broker.logs.directories]
    )


def describe(broker: Services, directory: LogDirectory, wanted: Wanted) -> DescribeLogDirsResult:
    try:
        if not directory.is_online:
            return offline(directory)
        total, usable = disk_space(directory.path)
    except OSError as error:
        broker.logs.fail(directory, error)
        return offline(directory)
    topics: dict[str, list[DescribeLogDirsPartition]] = {}
    for log in broker.logs.all():
        tp = log.topic_partition
        if broker.logs.directory_of(tp) is directory and (wanted is None or tp.partition in wanted.get(tp.topic, ())):
            lag = max(log.high_watermark - log.log_end_offset, 0)
            topics.setdefault(tp.topic, []).append(DescribeLogDirsPartition(tp.partition, log.size, lag, False))
    for tp, move in broker.replicas.directories.moves.items():
        copy = move.copy
        if (
            copy is not None
            and move.target is directory
            and (wanted is None or tp.partition in wanted.get(tp.topic, ()))
        ):
            lag = max(copy.log.log_end_offset - copy.end_offset, 0)
            topics.setdefault(tp.topic, []).append(DescribeLogDirsPartition(tp.partition, copy.size, lag, True))
    return DescribeLogDirsResult(
        log_dir=directory.path,
        topics=[DescribeLogDirsTopic(name, rows) for name, rows in topics.items()],
        total_bytes=total,
        usable_bytes=usable,
    )


def offline(directory: LogDirectory) -> DescribeLogDirsResult:
    return DescribeLogDirsResult(error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=directory.path)
