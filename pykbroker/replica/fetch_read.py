"""One pass over the partitions of a fetch: what to send of each within the byte limits. (ReplicaManager.readFromLog)"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.log.segment import Region
from pykbroker.log.transaction_index import AbortedTransaction
from pykbroker.log.unified_log import LogRead, UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.delayed_fetch import Awaited
from pykbroker.replica.fetch_session import FetchRow
from pykbroker.replica.partition import Partition
from pykbroker.replica.replica_manager import ReplicaManager

UNKNOWN = -1
READ_COMMITTED = 1
FUTURE_REPLICA = -3
# In an entry of the offset index, behind the offset.
POSITION = 1
# The first version whose consumers may be served by a follower (KIP-392).
FOLLOWER_FETCH_FROM = 11


class FetchParams(NamedTuple):
    """What counts for all partitions of a fetch. Limits in bytes. `rack_id`: of a consumer that may be sent to a
    replica near to it."""

    replica_id: int
    isolation_level: int
    min_bytes: int
    max_bytes: int
    only_leader: bool
    replica_epoch: int = UNKNOWN
    rack_id: str = ""

    @property
    def is_read_committed(self) -> bool:
        return self.isolation_level == READ_COMMITTED


class FetchedPartition(NamedTuple):
    """The answer for one partition. `aborted` None: not a read_committed fetch. `diverging`: (epoch, end offset).

    `must_answer`: the fetch waits no longer because of it; `partition` None: there is nothing here to wait for.
    """

    row: FetchRow
    partition_index: int
    error_code: int
    high_watermark: int = UNKNOWN
    last_stable_offset: int = UNKNOWN
    log_start_offset: int = UNKNOWN
    aborted: list[AbortedTransaction] | None = None
    regions: tuple[Region, ...] = ()
    size: int = 0
    preferred_read_replica: int = UNKNOWN
    diverging: tuple[int, int] | None = None
    current_leader: tuple[int, int] | None = None
    must_answer: bool = False
    partition: Partition | None = None


class FetchResult:
    """All partitions: `count` that were read, in order, then the unknown ones. `size`: bytes of records."""

    __slots__ = ("count", "must_answer", "partitions", "size")

    def __init__(self) -> None:
        self.partitions: list[FetchedPartition] = []
        self.count = 0
        self.size = 0
        self.must_answer = False

    def awaited(self) -> list[Awaited]:
        """What to wait for when this is too little."""
        return [
            Awaited(fetched.partition, fetched.row.fetch_offset, max(0, fetched.row.max_bytes - fetched.size))
            for fetched in self.partitions
            if fetched.partition is not None
        ]


def read_partitions(
    replicas: ReplicaManager, rows: Iterable[FetchRow], params: FetchParams, *, is_first: bool = True
) -> FetchResult:
    """In order until max.bytes are there; the first partition with data gives at least one batch (KIP-74).

    `is_first`: not one after waiting, which says nothing new of the follower that asked.
    """
    result = FetchResult()
    unknown: list[FetchedPartition] = []
    left = params.max_bytes
    min_one = True
    for row in rows:
        if row.idle is not None and _is_idle_still(row, row.idle, params, is_first):
            result.partitions.append(row.idle)
            continue
        fetched = read_row(replicas, row, params, left, min_one)
        if params.replica_id >= 0:
            fetched = _as_leader(replicas, fetched, params, is_first)
        if fetched.size:
            min_one = False
            result.size += fetched.size
        left = max(0, left - fetched.size)
        if fetched.partition is None and not fetched.must_answer:
            unknown.append(fetched)
            continue
        if fetched.must_answer:
            result.must_answer = True
        result.partitions.append(fetched)
    result.count = len(result.partitions)
    if not result.count:
        result.must_answer = True
    result.partitions += unknown
    return result


def read_row(
    replicas: ReplicaManager, row: FetchRow, params: FetchParams, max_bytes: int, min_one: bool
) -> FetchedPartition:
    name = row.name
    if name is None:
        name = row.name = replicas.name_of(row.topic)  # type: ignore[arg-type]  # a row without a name has an id
        if name is None:
            return FetchedPartition(row, row.partition, ErrorCode.UNKNOWN_TOPIC_ID, aborted=[])
    partition = replicas.find(name, row.partition)
    try:
        if partition is None:
            raise replicas.missing(name, row.partition)
        if row.topic is not name and row.topic != partition.topic_id:
            raise KafkaError(ErrorCode.INCONSISTENT_TOPIC_ID)
        if params.rack_id:
            nearer = _nearer_replica(replicas, partition, row, params.rack_id)
            if nearer is not None:
                return nearer
        return read_partition(partition, row, params, max_bytes, min_one)
    except KafkaError as error:
        if partition is None and error.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            return FetchedPartition(row, row.partition, error.code, aborted=[])
        return FetchedPartition(row, row.partition, error.code, must_answer=True)


def read_partition(
    partition: Partition, row: FetchRow, params: FetchParams, max_bytes: int, min_one: bool
) -> FetchedPartition:
    """Up to the high watermark, the last stable offset for read_committed, the log end for followers.
    Raises KafkaError."""
    partition.check_leader(row.current_leader_epoch, only_leader=params.only_leader)
    if params.replica_id >= 0:
        partition.check_follower(params.replica_id, row.current_leader_epoch)
    log = partition.log
    high_watermark, last_stable, start = log.high_watermark, log.last_stable_offset, log.log_start_offset
    offset = row.fetch_offset
    if row.last_fetched_epoch >= 0:
        diverging = find_divergence(partition, row)
        if diverging is not None:
            return FetchedPartition(
                row, row.partition, 0, high_watermark, last_stable, start, diverging=diverging, must_answer=True
            )
    is_committed = params.isolation_level == READ_COMMITTED
    upper_bound = last_stable if is_committed else high_watermark
    if params.replica_id >= 0 or params.replica_id == FUTURE_REPLICA:
        upper_bound = log.log_end_offset
    limit = min(max_bytes, row.max_bytes)
    if limit < 0 and offset < upper_bound:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"Invalid max size {limit} for log read from segment")
    read = log.read(offset, limit, upper_bound=upper_bound, min_one=min_one)
    aborted = aborted_transactions(log, read, upper_bound) if is_committed else None
    # Waiting brings nothing to a reader of an older segment, nor to one behind the end.
    must_answer = offset > upper_bound or offset < min(log.active.base_offset, upper_bound)
    return FetchedPartition(
        row,
        row.partition,
        0,
        high_watermark,
        last_stable,
        start,
        aborted,
        tuple(read.segments),
        read.size,
        UNKNOWN,
        None,
        None,
        must_answer,
        partition,
    )


def _as_leader(
    replicas: ReplicaManager, fetched: FetchedPartition, params: FetchParams, is_first: bool
) -> FetchedPartition:
    """What a leader makes of a follower's fetch: it notes its progress, and may hold the records back."""
    partition, row = fetched.partition, fetched.row
    if partition is None:
        return fetched
    if is_first:
        log = partition.log
        try:
            partition.follower_fetched(
                params.replica_id,
                row.fetch_offset,
                row.follower_log_start,
                log.log_end_offset,
                params.replica_epoch,
            )
        except KafkaError as error:
            return FetchedPartition(row, row.partition, error.code, must_answer=True)
    row.idle = fetched if not fetched.size and row.fetch_offset == partition.log.log_end_offset else None
    if fetched.size and replicas.replication is not None and params.replica_id not in partition.isr:
        throttle = replicas.replication.leader_throttle
        if throttle.is_throttled(partition) and throttle.is_exceeded():
            return fetched._replace(regions=(), size=0, must_answer=False)
    return fetched


def _is_idle_still(row: FetchRow, idle: FetchedPartition, params: FetchParams, is_first: bool) -> bool:
    """Whether a follower that had everything gets the same answer again: of the many partitions that it names in a
    session a few have something new."""
    partition = idle.partition
    assert partition is not None
    log, in_sync = partition.log, partition.in_sync
    if (
        in_sync is None
        or row.current_leader_epoch != partition.leader_epoch
        or log.log_end_offset != row.fetch_offset
        or log.high_watermark != idle.high_watermark
        or log.last_stable_offset != idle.last_stable_offset
        or log.log_start_offset != idle.log_start_offset
    ):
        return False
    return not is_first or in_sync.polled(
        params.replica_id, row.fetch_offset, row.follower_log_start, params.replica_epoch
    )


def _nearer_replica(
    replicas: ReplicaManager, partition: Partition, row: FetchRow, rack_id: str
) -> FetchedPartition | None:
    """Which replica a consumer should rather read from. Raises KafkaError."""
    if partition.in_sync is None or replicas.replication is None:
        return None
    preferred = replicas.replication.preferred_read_replica(partition, rack_id, row.fetch_offset)
    if preferred is None:
        return None
    partition.check_leader(row.current_leader_epoch)
    log = partition.log
    return FetchedPartition(
        row,
        row.partition,
        0,
        log.high_watermark,
        log.last_stable_offset,
        log.log_start_offset,
        preferred_read_replica=preferred,
        must_answer=True,
    )


def aborted_transactions(log: UnifiedLog, read: LogRead, upper_bound: int) -> list[AbortedTransaction]:
    """Those that touch what was read (UnifiedLog.addAbortedTransactions). Raises KafkaError KAFKA_STORAGE_ERROR."""
    if not read.segments:
        return []
    try:
        return log.aborted_transactions(read.offset, min(upper_bound, offset_behind(log, read)))
    except OSError as error:
        raise log.storage_error(error) from error


def offset_behind(log: UnifiedLog, read: LogRead) -> int:
    """An offset behind everything read, as near as the index tells (LogSegment.fetchUpperBoundOffset)."""
    region = read.segments[-1]
    end = region.position + region.length
    for segment in log.segments[log.segment_for(read.offset) :]:
        if segment.path(".log") == region.file.path:
            index = segment.offset_index
            found = bisect_left(range(len(index)), end, key=lambda at: index.entry(at)[POSITION])
            if found < len(index):
                return segment.base_offset + index.entry(found)[0]
        elif segment.base_offset > read.offset:
            return segment.base_offset
    return log.log_end_offset


def find_divergence(partition: Partition, row: FetchRow) -> tuple[int, int] | None:
    """Where the fetcher's log leaves ours, None when it does not (KIP-595). Raises KafkaError OFFSET_OUT_OF_RANGE."""
    log = partition.log
    epoch, end_offset = log.end_offset_for_epoch(row.last_fetched_epoch)
    if epoch < 0 or end_offset < 0 or row.fetch_offset < log.log_start_offset:
        raise KafkaError(
            ErrorCode.OFFSET_OUT_OF_RANGE,
            f"Could not determine the end offset of the last fetched epoch {row.last_fetched_epoch} of "
            f"{partition.topic_partition}",
        )
    if epoch < row.last_fetched_epoch or end_offset < row.fetch_offset:
        return epoch, end_offset
    return None
