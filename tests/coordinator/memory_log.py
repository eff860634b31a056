"""A PartitionWriter in memory: real batches, a high watermark that tests hold back, failures on demand."""

from collections import deque
from collections.abc import Callable

from pykbroker.coordinator.shard import Marker
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import iterate_batches, parse_header, stamp
from pykbroker.record.control import end_transaction_batch

MAX_MESSAGE_BYTES = 1_048_588


class MemoryLog:
    """One log for every partition. `auto_commit`: the high watermark follows the log end at once."""

    def __init__(self) -> None:
        self.batches: dict[TopicPartition, list[bytes]] = {}
        self.start: dict[TopicPartition, int] = {}
        self.watermarks: dict[TopicPartition, int] = {}
        self.listeners: dict[TopicPartition, list[Callable[[int], None]]] = {}
        self.auto_commit = True
        self.failures: deque[BaseException] = deque()  # the next appends fail with these, before they write
        self.fail_after_write: deque[BaseException] = deque()
        self.fail_reads: deque[BaseException] = deque()
        self.leader_epoch: int | None = None
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.guards: list[object] = []

    # -- PartitionWriter

    def append_batch(self, tp: TopicPartition, batch: bytearray, leader_epoch: int, guard: object | None = None) -> int:
        self.guards.append(guard)
        if self.failures:
            raise self.failures.popleft()
        if self.leader_epoch is not None and leader_epoch != self.leader_epoch:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if len(batch) > self.max_message_bytes:
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE)
        end = self.append_raw(tp, batch, leader_epoch)
        if self.fail_after_write:
            raise self.fail_after_write.popleft()
        if self.auto_commit:
            self.commit(tp, end)
        return end

    def append_marker(self, tp: TopicPartition, marker: Marker, leader_epoch: int) -> int:
        batch = end_transaction_batch(
            commit=marker.commit,
            producer_id=marker.producer_id,
            producer_epoch=marker.epoch,
            coordinator_epoch=marker.coordinator_epoch,
            timestamp=0,
        )
        return self.append_batch(tp, batch, leader_epoch)

    def read_for_load(self, tp: TopicPartition, offset: int, max_bytes: int) -> bytes:
        if self.fail_reads:
            raise self.fail_reads.popleft()
        out = bytearray()
        for batch in self.batches.get(tp, ()):
            header = parse_header(batch)
            if header.last_offset >= offset and (not out or len(out) + len(batch) <= max_bytes):
                out += batch
        return bytes(out)

    def log_bounds(self, tp: TopicPartition) -> tuple[int, int]:
        return self.start.get(tp, 0), self.watermarks.get(tp, 0)

    def delete_records(self, tp: TopicPartition, offset: int) -> None:
        """Whole batches: those in front of the one that holds `offset`."""
        if not 0 <= offset <= self.watermarks.get(tp, 0):
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        self.start[tp] = max(offset, self.start.get(tp, 0))
        kept = self.batches.get(tp, [])
        while kept and parse_header(kept[0]).next_offset <= self.start[tp]:
            del kept[0]

    def add_high_watermark_listener(self, tp: TopicPartition, callback: Callable[[int], None]) -> None:
        self.listeners.setdefault(tp, []).append(callback)

    def remove_high_watermark_listener(self, tp: TopicPartition, callback: Callable[[int], None]) -> None:
        if callback in self.listeners.get(tp, []):
            self.listeners[tp].remove(callback)

    # -- for tests

    def append_raw(self, tp: TopicPartition, batch: bytes | bytearray, leader_epoch: int = 0) -> int:
        """Appends one batch at the log end, whatever it is; the high watermark stays."""
        copy = bytearray(batch)
        stamp(copy, 0, self.end(tp), leader_epoch)
        self.batches.setdefault(tp, []).append(bytes(copy))
        return self.end(tp)

    def append_log(self, tp: TopicPartition, log: bytes) -> None:
        """Takes over a whole log with its offsets, all of it committed."""
        for header, position in iterate_batches(log):
            self.batches.setdefault(tp, []).append(log[position : position + header.size_in_bytes])
        self.watermarks[tp] = self.end(tp)

    def truncate(self, tp: TopicPartition, offset: int) -> None:
        """What another leader does not have; whole batches. The high watermark must not be higher."""
        batches = self.batches.get(tp, [])
        while batches and parse_header(batches[-1]).next_offset > offset:
            batches.pop()

    def end(self, tp: TopicPartition) -> int:
        batches = self.batches.get(tp)
        return parse_header(batches[-1]).next_offset if batches else 0

    def commit(self, tp: TopicPartition, offset: int | None = None) -> None:
        self.watermarks[tp] = self.end(tp) if offset is None else offset
        for listener in list(self.listeners.get(tp, ())):
            listener(self.watermarks[tp])
