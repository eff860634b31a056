"""One pass over the partitions of a fetch: what to send of each within the byte limits. (ReplicaManager.readFromLog)"""

from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.log.segment import Region
from pykbroker.log.transaction_index import AbortedTransaction
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.fetch_session import FetchRow
from pykbroker.replica.partition import Partition

UNKNOWN = -1
READ_COMMITTED = 1


class FetchedPartition(NamedTuple):
    """The answer for one partition. `aborted` None: not a read_committed fetch. `diverging`: (epoch, end offset)."""

    row: FetchRow
    error_code: int
    high_watermark: int = UNKNOWN
    last_stable_offset: int = UNKNOWN
    log_start_offset: int = UNKNOWN
    aborted: list[AbortedTransaction] | None = None
    regions: tuple[Region, ...] = ()
    size: int = 0
    diverging: tuple[int, int] | None = None
    current_leader: tuple[int, int] | None = None

    @property
    def partition(self) -> int:
        return self.row.partition


def failed(row: FetchRow, code: int, current_leader: tuple[int, int] | None = None) -> FetchedPartition:
    return FetchedPartition(row, code, current_leader=current_leader)


def read_partition(
    partition: Partition, row: FetchRow, max_bytes: int, *, min_one: bool, isolation_level: int
) -> FetchedPartition:
    """As leader, up to the high watermark, or the last stable offset for read_committed. Raises KafkaError."""
    partition.check_leader(row.current_leader_epoch)
    log = partition.log
    high_watermark, last_stable = log.high_watermark, log.last_stable_offset
    start = log.log_start_offset
    is_committed = isolation_level == READ_COMMITTED
    if row.last_fetched_epoch >= 0:
        diverging = _diverging(partition, row)
        if diverging is not None:
            return FetchedPartition(row, 0, high_watermark, last_stable, start, diverging=diverging)
    upper_bound = last_stable if is_committed else high_watermark
    read = log.read(row.fetch_offset, min(max_bytes, row.max_bytes), upper_bound=upper_bound, min_one=min_one)
    aborted = log.aborted_transactions(row.fetch_offset, upper_bound) if is_committed else None
    return FetchedPartition(row, 0, high_watermark, last_stable, start, aborted, tuple(read.segments), read.size)


def _diverging(partition: Partition, row: FetchRow) -> tuple[int, int] | None:
    """Where the fetcher's log leaves ours, None when it does not (KIP-595)."""
    epoch, end_offset = partition.log.end_offset_for_epoch(row.last_fetched_epoch)
    if epoch < 0 or end_offset < 0:
        raise KafkaError(
            ErrorCode.OFFSET_OUT_OF_RANGE,
            f"Could not determine the end offset of the last fetched epoch {row.last_fetched_epoch} of "
            f"{partition.topic_partition}",
        )
    if epoch < row.last_fetched_epoch or end_offset < row.fetch_offset:
        return epoch, end_offset
    return None
