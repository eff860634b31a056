"""One partition of an internal topic and its shard: load, decide → append → replay → answer at commit, unload.

Synchronous and without tasks; `runtime_loop.py` drives it (CoordinatorRuntime.CoordinatorContext).
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from pykbroker.clock import Clock
from pykbroker.coordinator.log_records import EndTransaction, FrameRecord, decode_batches, encode_batch
from pykbroker.coordinator.partition_writer import PartitionWriter
from pykbroker.coordinator.shard import NO_PRODUCER_ID, CoordinatorRecord, Outcome, Producer, Replies, Shard
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import TopicPartition
from pykbroker.protocol.coordinator_records import frame_record
from pykbroker.protocol.error_codes import ErrorCode

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Shard)

LOADING: Final = "loading"
ACTIVE: Final = "active"
FAILED: Final = "failed"
CLOSED: Final = "closed"

# After these the log is surely unchanged, so the shard need not be loaded again.
_REFUSED: Final = frozenset(
    {
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.RECORD_LIST_TOO_LARGE,
        ErrorCode.INVALID_RECORD,
        ErrorCode.INVALID_TIMESTAMP,
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.TRANSACTION_COORDINATOR_FENCED,
    }
)
_TOO_LARGE: Final = frozenset({ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE})
# Records replayed between two looks at the other tasks: a few milliseconds.
_LOAD_SLICE: Final = 500


class _Unencodable(KafkaError):
    """A client's string has no room in its record. Nothing was written."""


class Waiter(Protocol):
    """Who waits for a commit: a Pending."""

    def try_complete(self, value: None) -> bool: ...
    def try_fail(self, error: BaseException) -> bool: ...


class _Deferred(NamedTuple):
    offset: int
    deadline: float
    outcome: Outcome[Any]
    waiter: Waiter


class Settings(NamedTuple):
    """What all shards of a runtime share. `folder`: of the persisted messages; times in seconds and bytes; `frame`: an
    encoder that knows its records better."""

    folder: str
    codec: int
    commit_timeout: float
    load_bytes: int
    frame: FrameRecord = frame_record


class CoordinatorContext(Generic[S]):
    """`epoch` is the leader epoch under which the partition is led."""

    __slots__ = (
        "_appending",
        "_clock",
        "_deferred",
        "_high_watermark",
        "_loading",
        "_new_shard",
        "_new_waiter",
        "_settings",
        "_when_loaded",
        "_writer",
        "epoch",
        "shard",
        "state",
        "tp",
    )

    def __init__(
        self,
        tp: TopicPartition,
        epoch: int,
        new_shard: Callable[[], S],
        writer: PartitionWriter,
        clock: Clock,
        settings: Settings,
        new_waiter: Callable[[], Waiter],
    ) -> None:
        self.tp = tp
        self.epoch = epoch
        self._new_shard = new_shard
        self._writer = writer
        self._clock = clock
        self._settings = settings
        self._new_waiter = new_waiter
        self._deferred: deque[_Deferred] = deque()
        self._high_watermark = 0
        self._appending = False
        self._when_loaded: list[Callable[[S], Outcome[Any]]] = []
        self.start_loading()

    # -- loading

    def start_loading(self) -> None:
        """A fresh shard; `load_step` fills it."""
        self.shard = self._new_shard()
        self.state = LOADING
        self._loading: Iterator[bool] | None = self._load()

    def load_step(self) -> bool:
        """A few milliseconds of loading. False: nothing more to do, the state is ACTIVE or FAILED."""
        if self.state != LOADING or self._loading is None:
            return False
        try:
            if next(self._loading, True):
                self._activate()
                return False
        except (KafkaError, MalformedFrame) as error:
            logger.error("Failed to load the coordinator from %s: %s", self.tp, error)
        except Exception:
            logger.exception("Failed to load the coordinator from %s", self.tp)
        else:
            return True
        self.state = FAILED
        return False

    def _load(self) -> Iterator[bool]:
        timeline = self.shard.timeline
        offset, high_watermark = self._writer.log_bounds(self.tp)
        self._high_watermark = high_watermark
        timeline.commit(high_watermark)
        count = 0
        while chunk := self._writer.read_for_load(self.tp, offset, self._settings.load_bytes):
            start = offset
            for entry in decode_batches(self._settings.folder, chunk):
                if entry.offset >= start:
                    timeline.offset = entry.offset
                    self._replay(entry.offset, entry.producer_id, entry.content)
                offset = entry.next_offset
                count += 1
                if count % _LOAD_SLICE == 0:
                    yield False
            if offset <= start:
                break
        timeline.offset = max(offset, high_watermark)
        level = logging.INFO if count else logging.DEBUG  # most of the fifty partitions are empty
        logger.log(level, "Loaded the coordinator from %s, %d records, epoch %d", self.tp, count, self.epoch)

    def _replay(self, offset: int, producer_id: int, content: Any) -> None:
        if isinstance(content, EndTransaction):
            self.shard.replay_end_transaction(producer_id, content.committed)
        elif content is not None:
            self.shard.replay(offset, producer_id, content)

    def _activate(self) -> None:
        self._loading = None
        self.state = ACTIVE
        self._writer.add_high_watermark_listener(self.tp, self._on_high_watermark)
        self._on_high_watermark(self._writer.log_bounds(self.tp)[1])
        for outcome in self.shard.on_loaded():
            self._apply_quietly(outcome)
        operations, self._when_loaded = self._when_loaded, []
        for operation in operations:
            self.write_eventually(operation)

    # -- unloading

    def close(self) -> None:
        """Everyone who waits is told to look elsewhere."""
        self._unload()
        self.state = CLOSED

    def _unload(self) -> None:
        self._loading = None
        if self.state != ACTIVE:
            return
        self.state = CLOSED
        self._writer.remove_high_watermark_listener(self.tp, self._on_high_watermark)
        deferred, self._deferred = self._deferred, deque()
        for row in deferred:
            _fail(row, ErrorCode.NOT_LEADER_OR_FOLLOWER)
        deliver(self.shard.on_unloaded())

    def _reload(self, why: str) -> None:
        logger.error("The coordinator of %s is loaded again: %s", self.tp, why)
        self._unload()
        self.start_loading()

    # -- operations

    def require_active(self) -> S:
        """The shard. Raises KafkaError COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR."""
        if self.state == ACTIVE:
            return self.shard
        if self.state == LOADING:
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        raise KafkaError(ErrorCode.NOT_COORDINATOR)

    def apply(self, outcome: Outcome[Any]) -> Waiter | None:
        """Appends, replays and answers. None: committed; else whom to await. Raises KafkaError, as the log has it."""
        if outcome.replies:
            deliver(outcome.replies)
        if outcome.records and not outcome.atomic:
            self._append_parts(outcome, outcome.records)
        elif outcome.records or outcome.marker is not None:
            self._append(outcome)
        elif outcome.response is None and outcome.on_committed is None:
            return None
        written = self.shard.timeline.offset
        if self._high_watermark >= written:
            if outcome.on_committed is not None:
                deliver(outcome.on_committed())
            return None
        waiter = self._new_waiter()
        deadline = self._clock.monotonic() + self._settings.commit_timeout
        self._deferred.append(_Deferred(written, deadline, outcome, waiter))
        return waiter

    def write_eventually(self, operation: Callable[[S], Outcome[Any]]) -> None:
        """For nobody who waits; as soon as the shard is loaded."""
        if self.state == ACTIVE:
            self._apply_quietly(operation(self.shard))
        elif self.state == LOADING:
            self._when_loaded.append(operation)

    def _append_parts(self, outcome: Outcome[Any], records: list[CoordinatorRecord]) -> None:
        """As few batches as the log accepts."""
        part: Outcome[Any] = Outcome(records=records)
        part.replay = outcome.replay
        part.producer = outcome.producer
        try:
            self._append(part)
        except KafkaError as error:
            if error.code not in _TOO_LARGE or len(records) == 1:
                raise
            half = len(records) // 2
            self._append_parts(outcome, records[:half])
            self._append_parts(outcome, records[half:])

    def _append(self, outcome: Outcome[Any]) -> None:
        timeline = self.shard.timeline
        base = timeline.offset
        try:
            end = self._write(outcome)
        except Exception as error:
            timeline.revert(base)
            code = error.code if isinstance(error, KafkaError) else ErrorCode.UNKNOWN_SERVER_ERROR
            if outcome.on_failed is not None:
                deliver(outcome.on_failed(code))
            if code not in _REFUSED and not isinstance(error, _Unencodable):
                self._reload(f"appending failed with {error!r}")
            raise
        expected = base + (len(outcome.records) if outcome.marker is None else 1)
        if end != expected:
            self._reload(f"the log ends at {end}, not at {expected}")
            raise KafkaError(ErrorCode.NOT_COORDINATOR)
        if self._high_watermark >= end:
            timeline.commit(end)  # before it is replayed, so that nothing is noted for a revert that can't come
        if outcome.replay:
            self._replay_appended(base, outcome)
        timeline.offset = end
        self._advance()

    def _write(self, outcome: Outcome[Any]) -> int:
        marker, producer = outcome.marker, outcome.producer
        batch = self._encode(outcome.records, producer) if marker is None else bytearray()
        self._appending = True
        try:
            if marker is not None:
                return self._writer.append_marker(self.tp, marker, self.epoch)
            if producer is not None:
                return self._writer.append_batch(self.tp, batch, self.epoch, producer.guard)
            return self._writer.append_batch(self.tp, batch, self.epoch)
        finally:
            self._appending = False

    def _encode(self, records: list[CoordinatorRecord], producer: Producer | None) -> bytearray:
        settings = self._settings
        try:
            return encode_batch(records, self._clock.wall_ms(), settings.codec, producer, settings.frame)
        except ValueError as error:
            raise _Unencodable(ErrorCode.UNKNOWN_SERVER_ERROR, str(error)) from error

    def _replay_appended(self, base: int, outcome: Outcome[Any]) -> None:
        producer_id = NO_PRODUCER_ID if outcome.producer is None else outcome.producer.producer_id
        shard, timeline = self.shard, self.shard.timeline
        try:
            if outcome.marker is not None:
                shard.replay_end_transaction(outcome.marker.producer_id, outcome.marker.commit)
            for offset, record in enumerate(outcome.records, base):
                timeline.offset = offset
                shard.replay(offset, producer_id, record)
        except Exception as error:
            logger.exception("Replaying at %s offset %d failed", self.tp, self.shard.timeline.offset)
            self._reload("a record that was written can't be replayed")
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR) from error

    def _apply_quietly(self, outcome: Outcome[Any]) -> None:
        try:
            self.apply(outcome)
        except KafkaError as error:
            logger.warning("An operation of the coordinator of %s failed: %s", self.tp, error)

    # -- commit

    def _on_high_watermark(self, high_watermark: int) -> None:
        self._high_watermark = max(self._high_watermark, high_watermark)
        if not self._appending:
            self._advance()

    def _advance(self) -> None:
        timeline = self.shard.timeline
        committed = min(self._high_watermark, timeline.offset)
        timeline.commit(committed)
        deferred = self._deferred
        while deferred and deferred[0].offset <= committed:
            row = deferred.popleft()
            if row.outcome.on_committed is not None:
                deliver(row.outcome.on_committed())
            row.waiter.try_complete(None)

    # -- deadlines

    def next_deadline(self) -> float:
        """Seconds of clock.monotonic; never too late."""
        deadline = self.shard.next_deadline()
        return min(deadline, self._deferred[0].deadline) if self._deferred else deadline

    def on_deadline(self) -> None:
        """Runs what is due."""
        now = self._clock.monotonic()
        while self._deferred and self._deferred[0].deadline <= now:
            _fail(self._deferred.popleft(), ErrorCode.REQUEST_TIMED_OUT)
        try:
            while self.state == ACTIVE and (outcome := self.shard.on_deadline()) is not None:
                self._apply_quietly(outcome)
        except Exception:
            logger.exception("A timer of the coordinator of %s failed", self.tp)
            self._reload("its state is not trusted any more")


def deliver(replies: Replies) -> None:
    for reply, answer in replies:
        reply.try_complete(answer)


def _fail(row: _Deferred, code: ErrorCode) -> None:
    if row.outcome.on_failed is not None:
        deliver(row.outcome.on_failed(code))
    row.waiter.try_fail(KafkaError(code))
