"""All producers of one log, and its open transactions. (ProducerStateManager, KIP-98, KIP-360)"""

from collections.abc import Callable, Collection, Iterator
from logging import getLogger

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.files import Files
from pykbroker.log.producer_entry import NO_TRANSACTION, BatchMetadata, ProducerEntry
from pykbroker.log.producer_snapshot import CorruptSnapshot, read_snapshot, snapshot_offsets, write_snapshot
from pykbroker.log.segment import segment_path
from pykbroker.log.transaction_index import AbortedTransaction
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import BatchHeader, Buffer
from pykbroker.record.control import ControlType, control_type_of, end_transaction_coordinator_epoch
from pykbroker.record.reader import Record, iterate_records

logger = getLogger(__name__)
SUFFIX = ".snapshot"


class ProducerStateManager:
    """Checked before an append, updated after it, snapshotted when a segment rolls and at a clean stop."""

    def __init__(
        self,
        files: Files,
        directory: str,
        topic_partition: TopicPartition,
        expiration_ms: int,
        *,
        is_new: bool = False,
    ) -> None:
        """`is_new`: of a directory without snapshots, which need not be listed."""
        self._files = files
        self.directory = directory
        self.topic_partition = topic_partition
        self.expiration_ms = expiration_ms
        self.producers: dict[int, ProducerEntry] = {}
        # Offset behind the last batch that this state knows.
        self.map_end_offset = 0
        self.last_snapshot_offset = 0 if is_new else -1
        # Completed transactions whose marker the high watermark has not passed: first offset → marker's offset.
        self._unreplicated: dict[int, int] = {}
        self._open: dict[int, int] = {}
        self._known_snapshots: list[int] | None = [] if is_new else None

    @property
    def _snapshots(self) -> list[int]:
        """The offsets of all snapshots, ascending: the directory is listed once."""
        if self._known_snapshots is None:
            self._known_snapshots = snapshot_offsets(self.directory)
        return self._known_snapshots

    def check(self, header: BatchHeader, offset: int, *, is_client: bool) -> BatchMetadata | None:
        """The appended batch that this one repeats, else None. Raises INVALID_PRODUCER_EPOCH,
        OUT_OF_ORDER_SEQUENCE_NUMBER or INVALID_TXN_STATE."""
        entry = self.producers.get(header.producer_id)
        if entry is None:
            return None
        if is_client:
            duplicate = entry.find_duplicate(header)
            if duplicate is not None:
                return duplicate
        entry.check_epoch(header.producer_epoch, offset, self.topic_partition)
        if is_client:
            entry.check_sequence(header, offset, self.topic_partition)
        if entry.first_offset != NO_TRANSACTION and not header.is_transactional:
            raise KafkaError(
                ErrorCode.INVALID_TXN_STATE,
                f"Expected transactional write from producer {header.producer_id} at offset {offset} in partition "
                f"{self.topic_partition}",
            )
        return None

    def check_marker(self, header: BatchHeader, coordinator_epoch: int, offset: int) -> None:
        """Raises INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED."""
        entry = self.producers.get(header.producer_id)
        if entry is None:
            return
        entry.check_epoch(header.producer_epoch, offset, self.topic_partition)
        if entry.coordinator_epoch > coordinator_epoch:
            raise KafkaError(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"Invalid coordinator epoch for producerId {header.producer_id} at offset {offset} in partition "
                f"{self.topic_partition}: {coordinator_epoch} (zombie), {entry.coordinator_epoch} (current)",
            )

    def append_data(self, header: BatchHeader, first_offset: int) -> None:
        """Notes a data batch that is in the log at `first_offset`."""
        entry = self._entry(header.producer_id)
        entry.add_batch(header, first_offset + header.last_offset_delta)
        if header.is_transactional and entry.first_offset == NO_TRANSACTION:
            entry.first_offset = first_offset
            self._open[header.producer_id] = first_offset

    def append_marker(self, header: BatchHeader, record: Record) -> AbortedTransaction | None:
        """Notes the end of a transaction; what belongs in the transaction index when it was an abort."""
        control_type = control_type_of(record.key)
        if control_type not in (ControlType.COMMIT, ControlType.ABORT):
            return None
        entry = self._entry(header.producer_id)
        first_offset = entry.first_offset
        entry.end_transaction(header.producer_epoch, end_transaction_coordinator_epoch(record.value), record.timestamp)
        if first_offset == NO_TRANSACTION:
            return None
        self._open.pop(header.producer_id, None)
        self._unreplicated[first_offset] = header.last_offset
        if control_type == ControlType.COMMIT:
            return None
        last_stable = min(self._open.values(), default=header.last_offset + 1)
        return AbortedTransaction(header.producer_id, first_offset, header.last_offset, last_stable)

    def replay(self, header: BatchHeader, batch: Buffer) -> AbortedTransaction | None:
        """Notes a batch that recovery or replication found in the log."""
        if not header.has_producer_id:
            return None
        if not header.is_control:
            self.append_data(header, header.base_offset)
            return None
        record = next(iter(iterate_records(batch)), None)
        return self.append_marker(header, record) if record is not None else None

    def _entry(self, producer_id: int) -> ProducerEntry:
        entry = self.producers.get(producer_id)
        if entry is None:
            entry = self.producers[producer_id] = ProducerEntry(producer_id)
        return entry

    @property
    def has_transactions(self) -> bool:
        """Some are open, or ended where the high watermark has not come to."""
        return bool(self._open or self._unreplicated)

    def first_unstable_offset(self) -> int | None:
        """The first offset of the earliest transaction that is open, or whose end is not replicated yet."""
        if not self._open and not self._unreplicated:
            return None
        return min([*self._open.values(), *self._unreplicated])

    def on_high_watermark(self, offset: int) -> None:
        """Transactions whose marker lies below the high watermark are stable."""
        if self._unreplicated:
            self._unreplicated = {first: last for first, last in self._unreplicated.items() if last >= offset}

    def on_log_start_offset(self, offset: int) -> None:
        """Ended transactions before the log's start are stable; open ones stay so until their marker comes."""
        self._unreplicated = {first: last for first, last in self._unreplicated.items() if last >= offset}
        self.map_end_offset = max(self.map_end_offset, offset)

    def expire(self, now_ms: int) -> None:
        """Forgets producers without an open transaction that were silent for producer.id.expiration.ms."""
        expired = [
            producer_id
            for producer_id, entry in self.producers.items()
            if entry.first_offset == NO_TRANSACTION and now_ms - entry.last_timestamp >= self.expiration_ms
        ]
        for producer_id in expired:
            del self.producers[producer_id]

    def active(self) -> Iterator[ProducerEntry]:
        return iter(self.producers.values())

    def snapshot_path(self, offset: int) -> str:
        return segment_path(self.directory, offset, SUFFIX)

    def take_snapshot(self, *, sync: bool = False) -> None:
        """Writes NNN.snapshot for the current end, unless it is there. Raises OSError."""
        if self.map_end_offset > self.last_snapshot_offset:
            write_snapshot(self._files, self.snapshot_path(self.map_end_offset), self.producers.values(), sync=sync)
            self.last_snapshot_offset = self.map_end_offset
            self._known_snapshots = sorted({*self._snapshots, self.map_end_offset})

    def load(self, log_start_offset: int, end_offset: int, now_ms: int) -> None:
        """Starts over from the latest good snapshot between the two (truncateAndReload); those outside go."""
        self.clear()
        self.map_end_offset = self.last_snapshot_offset = log_start_offset
        self._delete_snapshots(lambda offset: not log_start_offset < offset <= end_offset)
        for offset in reversed(self._snapshots):
            try:
                entries = read_snapshot(self._files, self.snapshot_path(offset))
            except CorruptSnapshot as error:
                logger.warning("%s; going on without it", error)
                self._delete_snapshots(offset.__eq__)
                continue
            self.restore(entries, now_ms)
            self.last_snapshot_offset = self.map_end_offset = offset
            return

    def restore(self, entries: list[ProducerEntry], now_ms: int) -> None:
        for entry in entries:
            is_open = entry.first_offset != NO_TRANSACTION
            if not is_open and now_ms - entry.last_timestamp >= self.expiration_ms:
                continue
            self.producers[entry.producer_id] = entry
            if is_open:
                self._open[entry.producer_id] = entry.first_offset

    def clear(self) -> None:
        self.producers.clear()
        self._open.clear()
        self._unreplicated.clear()
        self.last_snapshot_offset = -1
        self.map_end_offset = 0

    def delete_snapshots_before(self, offset: int) -> None:
        self._delete_snapshots(lambda found: found < offset)

    def delete_snapshots_at(self, offsets: Collection[int]) -> None:
        """Of segments that are no more."""
        self._delete_snapshots(lambda found: found in offsets)

    def delete_snapshots_from(self, offset: int) -> None:
        """All snapshots at or behind `offset`: they describe a history that was cut off."""
        self._delete_snapshots(lambda found: found >= offset)

    def remove_stray_snapshots(self, segment_offsets: set[int]) -> None:
        """Keeps those that a segment starts at, and the newest behind them all (removeStraySnapshots)."""
        found = self._snapshots
        newest = found[-1] if found and found[-1] > max(segment_offsets) else None
        self._delete_snapshots(lambda offset: offset not in segment_offsets and offset != newest)

    def _delete_snapshots(self, is_superfluous: Callable[[int], bool]) -> None:
        superfluous = [offset for offset in self._snapshots if is_superfluous(offset)]
        for offset in superfluous:
            self._files.unlink(self.snapshot_path(offset))
        if superfluous:
            self._known_snapshots = [offset for offset in self._snapshots if offset not in superfluous]
