"""What the runtime and a shard say to each other: records, outcomes, the Shard protocol (CoordinatorResult)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from pykbroker.coordinator.timeline import Timeline

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

NO_PRODUCER_ID = -1


class CoordinatorRecord(NamedTuple):
    """A record of an internal topic. `version` is the value's; without value it is a tombstone."""

    key: "Message"
    value: "Message | None"
    version: int = 0


class Producer(NamedTuple):
    """For whom records are written as part of a transaction. `guard`: the proof that it has the partition."""

    producer_id: int
    epoch: int
    guard: object | None = None


class Marker(NamedTuple):
    """How a transaction ends, for one partition. `transaction_version` is its client's (KIP-1228)."""

    producer_id: int
    epoch: int
    coordinator_epoch: int
    commit: bool
    transaction_version: int = 0


class Reply(Protocol[T_contra]):
    """Where an answer goes: a Pending, or a list in tests."""

    def try_complete(self, value: T_contra) -> bool: ...


Replies: TypeAlias = list[tuple[Reply[Any], Any]]


# A timer whose records could not be written comes again after so long (CoordinatorTimerImpl).
TIMER_RETRY_MS: Final = 500


class Outcome(Generic[T]):
    """What an operation decided; filled while it decides.

    `records` are appended as one batch (as several, if they must, when not `atomic`), replayed (unless `replay` is
    false: the shard changed already, or changes in `on_committed`), and `response` is given when all that was written
    is committed. `replies` go out at once, whatever becomes of the records. `on_failed` hears the error code of a
    failed append or of a commit that took too long, not yet mapped for clients. Both may return further replies.
    `producer`: the records belong to its transaction. `marker`: the end of a transaction is written, and no record.
    """

    __slots__ = (
        "atomic",
        "marker",
        "on_committed",
        "on_failed",
        "producer",
        "records",
        "replay",
        "replies",
        "response",
    )

    def __init__(self, response: T | None = None, records: list[CoordinatorRecord] | None = None) -> None:
        self.response = response
        self.records: list[CoordinatorRecord] = [] if records is None else records
        self.replies: Replies = []
        self.replay = True
        self.atomic = True
        self.producer: Producer | None = None
        self.marker: Marker | None = None
        self.on_committed: Callable[[], Replies] | None = None
        self.on_failed: Callable[[int], Replies] | None = None

    def reply(self, reply: Reply[Any], answer: object) -> None:
        self.replies.append((reply, answer))

    def when_failed(self, undo: Callable[[], None]) -> None:
        """Called beside `on_failed`."""
        others = self.on_failed

        def failed(code: int) -> Replies:
            undo()
            return [] if others is None else others(code)

        self.on_failed = failed


class Shard(Protocol):
    """State of one partition of an internal topic. Does no I/O, knows no tasks."""

    @property
    def timeline(self) -> Timeline: ...

    def replay(self, offset: int, producer_id: int, record: CoordinatorRecord) -> None:
        """Applies a record of the log, or one just appended."""

    def replay_end_transaction(self, producer_id: int, committed: bool) -> None:
        """Applies a transaction marker of the log."""

    def on_loaded(self) -> list[Outcome[Any]]:
        """All of the log is replayed: timers start. What must be written at once is returned."""

    def on_unloaded(self) -> Replies:
        """Not the coordinator any more: answers for all who wait."""

    def next_deadline(self) -> float:
        """Seconds of clock.monotonic; infinity when nothing is due."""

    def on_deadline(self) -> Outcome[Any] | None:
        """Runs one timer that is due. None: no more are."""
