"""Replays a log's producers, and holds their snapshots and the transaction indexes against what comes out."""

import os
from typing import NamedTuple

from pykbroker.ids import TopicPartition
from pykbroker.log.files import Files
from pykbroker.log.inspection.batches import FoundBatch
from pykbroker.log.inspection.index_files import read_transaction_index
from pykbroker.log.inspection.report import Report, Severity
from pykbroker.log.inspection.snapshot_file import SnapshotEntry, read_entries
from pykbroker.log.inspection.text_files import FlawedFile
from pykbroker.log.producer_entry import NO_TRANSACTION, BatchMetadata, ProducerEntry
from pykbroker.log.producer_state import ProducerStateManager
from pykbroker.log.transaction_index import AbortedTransaction
from pykbroker.record.control import ControlType, control_type_of
from pykbroker.record.reader import iterate_records

_UNUSED_EXPIRATION_MS = 1 << 62


class Marker(NamedTuple):
    producer_id: int
    is_abort: bool


class ProducerCheck:
    """Goes along with the batches, segment by segment.

    The state starts over from each good snapshot, as a broker's does: producers that expired are not in it, and memory
    stays that of one segment. `is_exact`: nothing was compacted so far, so that every batch still tells how it was
    appended.
    """

    def __init__(self, directory: str, tp: TopicPartition, report: Report) -> None:
        self.is_exact = True
        self._directory = directory
        self._report = report
        self._state = ProducerStateManager(Files(), directory, tp, _UNUSED_EXPIRATION_MS)
        self._aborted: list[AbortedTransaction] = []
        self._markers: dict[int, Marker] = {}
        # Whether the state holds all that came before, as far as a broker remembers it.
        self._is_known = False

    def begin(self, base_offset: int, severity: Severity) -> None:
        """At the first segment."""
        self._is_known = base_offset == 0
        self.at_snapshot(base_offset, severity)

    def begin_segment(self) -> None:
        self._aborted.clear()
        self._markers.clear()

    def lose(self) -> None:
        """Batches are missing: what follows cannot be told until the next snapshot."""
        self._is_known = False
        self._state.clear()

    def take(self, batch: FoundBatch) -> None:
        """Raises KafkaError for a control batch that cannot be read."""
        header = batch.header
        if header is None or not header.has_producer_id:
            return
        data = batch.data() if header.is_control else b""
        if header.is_control:
            self._note_marker(header.producer_id, data)
        aborted = self._state.replay(header, data)
        if aborted is not None:
            self._aborted.append(aborted)

    def _note_marker(self, producer_id: int, data: bytes) -> None:
        for record in iterate_records(data):
            is_abort = control_type_of(record.key) == ControlType.ABORT
            self._markers[record.offset] = Marker(producer_id, is_abort)

    # The transaction index

    def check_transaction_index(self, path: str, base_offset: int, severity: Severity) -> None:
        """At a segment's end."""
        data = _read_if_there(path) or b""
        entries, flaws = read_transaction_index(data, base_offset)
        for flaw in flaws:
            self._report.add(severity, "transaction index", path, flaw.message, position=flaw.position)
        if flaws:
            return
        if self.is_exact and self._is_known:
            self._compare_aborted(path, entries, severity)
            return
        for position, entry in entries:
            problem = self._problem_of(entry)
            if problem:
                self._report.add(
                    severity, "transaction index", path, problem, position=position, offset=entry.last_offset
                )

    def _compare_aborted(self, path: str, entries: list[tuple[int, AbortedTransaction]], severity: Severity) -> None:
        for (position, entry), expected in zip(entries, self._aborted, strict=False):
            if entry != expected:
                message = f"{_told(entry)}, but by the log it is {_told(expected)}"
                self._report.add(
                    severity, "transaction index", path, message, position=position, offset=expected.last_offset
                )
        for position, entry in entries[len(self._aborted) :]:
            self._report.add(
                severity, "transaction index", path, f"{_told(entry)} is not in the log", position=position
            )
        for missing in self._aborted[len(entries) :]:
            self._report.add(
                severity, "transaction index", path, f"{_told(missing)} is missing", offset=missing.last_offset
            )

    def _problem_of(self, entry: AbortedTransaction) -> str | None:
        marker = self._markers.get(entry.last_offset)
        if marker is None:
            return f"{_told(entry)} has no marker in the log" if self.is_exact else None
        if not marker.is_abort or marker.producer_id != entry.producer_id:
            return f"{_told(entry)}, but the marker there is another's"
        return None

    # Snapshots

    def at_snapshot(self, offset: int, severity: Severity) -> None:
        """At an offset that a snapshot may be of."""
        path = self._state.snapshot_path(offset)
        data = _read_if_there(path)
        if data is None:
            return
        try:
            entries = read_entries(data)
        except FlawedFile as error:
            self._report.add(severity, "producer snapshot", path, str(error), position=error.flaw.position)
            return
        if self._is_known and not self._compare(path, entries, offset, severity):
            return
        self._adopt(entries)

    def _compare(self, path: str, entries: list[SnapshotEntry], offset: int, severity: Severity) -> bool:
        is_same = True
        for entry in entries:
            problem = self._difference(entry, offset)
            if problem:
                is_same = False
                self._report.add(severity, "producer snapshot", path, problem, position=entry.position, offset=offset)
        told = {entry.producer_id for entry in entries}
        for producer in self._state.active():
            if producer.first_offset != NO_TRANSACTION and producer.producer_id not in told:
                is_same = False
                message = f"producer {producer.producer_id} is missing, whose transaction is open"
                self._report.add(severity, "producer snapshot", path, message, offset=producer.first_offset)
        return is_same

    def _difference(self, entry: SnapshotEntry, offset: int) -> str | None:
        who = f"producer {entry.producer_id}"
        if entry.last_offset >= offset:
            return f"{who} wrote offset {entry.last_offset}, behind the snapshot's"
        known = self._state.producers.get(entry.producer_id)
        if known is None:
            # Compaction removes what a producer wrote.
            return f"{who} is in no batch before" if self.is_exact else None
        expected = _as_entry(known)
        if not self.is_exact:
            is_same_batch = known.batches and entry.last_offset == expected.last_offset
            names: tuple[str, ...] = ("producer_epoch", "last_sequence") if is_same_batch else ()
        else:
            names = SnapshotEntry._fields[1:]
        for name in names:
            if getattr(entry, name) != getattr(expected, name):
                told = name.replace("_", " ")
                return f"{who} has {told} {getattr(entry, name)}, but by the log {getattr(expected, name)}"
        return None

    def _adopt(self, entries: list[SnapshotEntry]) -> None:
        self._state.clear()
        self._state.restore([_as_producer(entry) for entry in entries], 0)
        self._is_known = True


def _as_entry(producer: ProducerEntry) -> SnapshotEntry:
    last = producer.batches[-1] if producer.batches else BatchMetadata(-1, -1, 0, producer.last_timestamp)
    return SnapshotEntry(
        -1,
        producer.producer_id,
        producer.epoch,
        last.last_sequence,
        last.last_offset,
        last.offset_delta,
        producer.last_timestamp,
        producer.coordinator_epoch,
        producer.first_offset,
    )


def _as_producer(entry: SnapshotEntry) -> ProducerEntry:
    producer = ProducerEntry(
        entry.producer_id,
        entry.producer_epoch,
        entry.coordinator_epoch,
        entry.timestamp,
        entry.transaction_first_offset,
    )
    if entry.last_offset >= 0:
        producer.batches.append(
            BatchMetadata(entry.last_sequence, entry.last_offset, entry.offset_delta, entry.timestamp)
        )
    return producer


def _told(aborted: AbortedTransaction) -> str:
    return (
        f"aborted transaction of producer {aborted.producer_id} from {aborted.first_offset} to {aborted.last_offset}, "
        f"stable {aborted.last_stable_offset}"
    )


def _read_if_there(path: str) -> bytes | None:
    if not os.path.exists(path):
        return None
    return Files().read_bytes(path)
