"""A share partition as a plain list of records, one entry per offset: what may happen to each, and nothing cleverer."""

from math import inf

from pykbroker.protocol.messages.share_fetch import AcquiredRecords
from pykbroker.share.acknowledge import Acknowledgement, AcknowledgeType
from pykbroker.share.in_flight import RecordState

AVAILABLE, ACQUIRED = RecordState.AVAILABLE, RecordState.ACQUIRED
ACKNOWLEDGED, ARCHIVED = RecordState.ACKNOWLEDGED, RecordState.ARCHIVED
RESULTS = {
    AcknowledgeType.GAP: ARCHIVED,
    AcknowledgeType.ACCEPT: ACKNOWLEDGED,
    AcknowledgeType.RELEASE: AVAILABLE,
    AcknowledgeType.REJECT: ARCHIVED,
}


class ModelRecord:
    """`before` is the owner of a record whose new state is being written."""

    def __init__(self) -> None:
        self.state = AVAILABLE
        self.count = 0
        self.owner = ""
        self.deadline = inf
        self.before: str | None = None
        self.has_expired = False
        self.accepted = 0
        self.is_deleted = False

    def __repr__(self) -> str:
        return f"{self.state.name} {self.count} {self.owner} {self.before}"


class Model:
    def __init__(self, limit: int, lock: float) -> None:
        self.records: list[ModelRecord] = []
        self.limit = limit
        self.lock = lock
        self.log_start = 0
        # As far as the share partition has heard of it.
        self.known_start = 0

    def released(self, record: ModelRecord, offset: int) -> RecordState:
        return ARCHIVED if record.count >= self.limit or offset < self.known_start else AVAILABLE

    def acquire(self, member: str, rows: list[AcquiredRecords], now: float) -> list[int]:
        offsets = []
        for row in rows:
            for offset in range(row.first_offset, row.last_offset + 1):
                record = self.records[offset]
                assert record.state == AVAILABLE, (offset, record)
                assert record.before is None, f"{offset} is given out while its release is being written"
                assert offset >= self.log_start
                record.state, record.owner, record.deadline = ACQUIRED, member, now + self.lock
                record.count += 1
                assert record.count == row.delivery_count <= self.limit, (offset, record, row)
                offsets.append(offset)
        assert offsets == sorted(set(offsets)), f"not each once and in order: {offsets}"
        return offsets

    def may_acknowledge(self, member: str, ack: Acknowledgement, start: int) -> bool:
        """Everything from the start offset on must be the member's."""
        offsets = range(max(ack.first_offset, start), ack.last_offset + 1)
        return all(
            self.records[offset].state == ACQUIRED and self.records[offset].owner == member for offset in offsets
        )

    def acknowledge(self, ack: Acknowledgement, start: int, now: float) -> list[int]:
        """The offsets whose state has to be written."""
        written = []
        for offset in range(max(ack.first_offset, start), ack.last_offset + 1):
            record, kind = self.records[offset], AcknowledgeType(ack.type_of(offset))
            if kind == AcknowledgeType.RENEW:
                record.deadline = now + self.lock
                continue
            record.before, record.owner = record.owner, ""
            record.state = RESULTS[kind]
            if record.state == AVAILABLE:
                record.state = self.released(record, offset)
            written.append(offset)
        return written

    def leave(self, member: str) -> list[int]:
        written = []
        for offset, record in enumerate(self.records):
            if record.state == ACQUIRED and record.owner == member:
                record.before, record.owner = member, ""
                record.state = self.released(record, offset)
                written.append(offset)
        return written

    def complete(self, offsets: list[int], *, is_written: bool) -> None:
        for offset in offsets:
            record = self.records[offset]
            before, record.before = record.before, None
            if record.is_deleted:
                continue
            if is_written:
                record.deadline, record.has_expired = inf, False
                record.accepted += record.state == ACKNOWLEDGED
                assert record.accepted <= 1, f"{offset} was acknowledged twice"
            elif record.has_expired:
                record.has_expired, record.deadline = False, inf
                record.state = self.released(record, offset)
            else:
                assert before is not None
                record.state, record.owner = ACQUIRED, before

    def expire(self, now: float) -> list[int]:
        expired = []
        for offset, record in enumerate(self.records):
            if record.deadline > now or record.has_expired:
                continue
            if record.before is not None:
                record.has_expired = True
                continue
            record.state, record.owner, record.deadline = self.released(record, offset), "", inf
            expired.append(offset)
        return expired

    def hear_of_log_start(self) -> None:
        """Deleted records that nobody has will never be given out."""
        self.known_start = self.log_start
        for record in self.records[: self.log_start]:
            if record.state == AVAILABLE:
                record.state, record.deadline, record.is_deleted = ARCHIVED, inf, True

    def restart(self, stored: dict[int, tuple[int, int]], start: int) -> None:
        """Only what was written is known: (state, count) by offset."""
        self.known_start = start
        for offset, record in enumerate(self.records):
            state, count = stored.get(offset, (AVAILABLE, 0))
            record.state = RecordState(state) if offset >= start else ARCHIVED
            record.is_deleted = False
            record.count = count
            record.owner, record.before, record.deadline, record.has_expired = "", None, inf, False
