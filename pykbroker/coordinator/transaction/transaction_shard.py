"""All transactional ids of one partition of `__transaction_state` (TransactionCoordinator, TransactionStateManager)."""

from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from pykbroker.coordinator.shard import CoordinatorRecord, Outcome, Replies
from pykbroker.coordinator.timeline import Timeline, TimelineDict
from pykbroker.coordinator.timers import Timers
from pykbroker.coordinator.transaction.end_transaction import check_producer, end, fence
from pykbroker.coordinator.transaction.init_producer_id import initialize
from pykbroker.coordinator.transaction.transaction_metadata import (
    AT_REST,
    ENDING,
    NO_IDENTITY,
    ONGOING,
    PREPARE_ABORT,
    ProducerIdentity,
    TransactionMetadata,
)
from pykbroker.coordinator.transaction.transaction_records import (
    metadata_from,
    transaction_record,
    transaction_tombstone,
    value_version,
)
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.ids import TopicPartition
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.persisted.transaction.transaction_log import TransactionLogKey, TransactionLogValue

ABORT_TIMER: Final = "abort timed out transactions"
EXPIRATION_TIMER: Final = "expire transactional ids"


class Surroundings(Protocol):
    """What a shard needs of the service that it belongs to."""

    def transaction_version(self) -> int:
        """The finalized level of transaction.version."""

    def new_producer_id(self) -> int:
        """Raises NoProducerId: get some, and decide again."""

    def end_transaction(self, transactional_id: str) -> None:
        """Its end is decided: once that is committed, the partitions are to be told."""


class TransactionShard:
    """Decides on what is committed, or was in the log when it was loaded. A transition whose record is not committed
    is pending: nobody may begin another."""

    __slots__ = ("_clock", "_config", "_decided", "_surroundings", "_timed_out", "_timers", "table", "timeline")

    def __init__(self, config: "BrokerConfig", clock: "Clock", surroundings: Surroundings) -> None:
        self.timeline = Timeline()
        self.table: TimelineDict[str, TransactionMetadata] = TimelineDict(self.timeline)
        self._config = config
        self._clock = clock
        self._surroundings = surroundings
        self._timers = Timers()
        self._timed_out: list[str] = []
        # The value about to be written and what it stands for: the log has no room for the last epoch.
        self._decided: tuple[Message, TransactionMetadata] | None = None

    # -- replay

    def replay(self, offset: int, producer_id: int, record: CoordinatorRecord) -> None:
        key, value = cast("TransactionLogKey", record.key), record.value
        if value is None:
            self.table.pop(key.transactional_id)
        elif self._decided is not None and self._decided[0] is value:
            self.table[key.transactional_id] = self._decided[1]
        else:
            self.table[key.transactional_id] = metadata_from(key.transactional_id, cast("TransactionLogValue", value))

    def replay_end_transaction(self, producer_id: int, committed: bool) -> None:
        raise RuntimeError("there are no transactions in __transaction_state")

    # -- life

    def on_loaded(self) -> list[Outcome[Any]]:
        """All that is in the log counts, as in Kafka's TransactionStateManager: a new leader's high watermark may be
        behind what the leader before has acknowledged."""
        self.timeline.commit(self.timeline.offset)
        now = self._clock.monotonic()
        self._timers.schedule(ABORT_TIMER, now + self._abort_interval)
        self._timers.schedule(EXPIRATION_TIMER, now + self._expiration_interval)
        for transactional_id, metadata in self.table.items():
            if metadata.state in ENDING:
                self._surroundings.end_transaction(transactional_id)
        return []

    def on_unloaded(self) -> Replies:
        return []

    @property
    def _abort_interval(self) -> float:
        return self._config.transaction_abort_timed_out_transaction_cleanup_interval_ms / 1000

    @property
    def _expiration_interval(self) -> float:
        return self._config.transaction_remove_expired_transaction_cleanup_interval_ms / 1000

    def next_deadline(self) -> float:
        return -inf if self._timed_out else self._timers.next_deadline()

    def on_deadline(self) -> Outcome[Any] | None:
        if self._timed_out:
            return self._abort_timed_out(self._timed_out.pop())
        now = self._clock.monotonic()
        key = self._timers.pop_due(now)
        if key is None:
            return None
        if key == EXPIRATION_TIMER:
            self._timers.schedule(EXPIRATION_TIMER, now + self._expiration_interval)
            return self.expire()
        self._timers.schedule(ABORT_TIMER, now + self._abort_interval)
        now_ms = self._clock.wall_ms()
        self._timed_out = [key for key, metadata in self.table.items() if metadata.is_timed_out(now_ms)]
        return Outcome()

    def _abort_timed_out(self, transactional_id: str) -> Outcome[None]:
        metadata = self.table.get(transactional_id)
        now_ms = self._clock.wall_ms()
        if metadata is None or self._is_pending(transactional_id) or not metadata.is_timed_out(now_ms):
            return Outcome()
        return self._write(fence(metadata, self._surroundings.transaction_version(), now_ms), None)

    def expire(self) -> Outcome[None]:
        """Tombstones for transactional ids that nobody has used for transactional.id.expiration.ms."""
        latest = self._clock.wall_ms() - self._config.transactional_id_expiration_ms
        out: Outcome[None] = Outcome()
        out.atomic = False
        for key, metadata in self.table.items():
            if metadata.state in AT_REST and metadata.last_update_timestamp <= latest and not self._is_pending(key):
                out.records.append(transaction_tombstone(key))
        return out

    # -- operations

    def init_producer_id(
        self, transactional_id: str, timeout_ms: int, expected: ProducerIdentity | None
    ) -> Outcome[ProducerIdentity]:
        """The identity to work under; NO_IDENTITY: an open transaction is being aborted, ask again.

        Raises KafkaError, NoProducerId.
        """
        if self._is_pending(transactional_id):
            raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
        current = self.table.get(transactional_id)
        if current is None:
            current = TransactionMetadata(transactional_id, self._surroundings.new_producer_id(), timeout_ms)
        decided = initialize(
            current,
            expected,
            timeout_ms,
            server_version=self._surroundings.transaction_version(),
            new_producer_id=self._surroundings.new_producer_id,
            now_ms=self._clock.wall_ms(),
        )
        return self._write(decided, NO_IDENTITY if decided.state == PREPARE_ABORT else decided.identity)

    def add_partitions(
        self,
        transactional_id: str,
        producer: ProducerIdentity,
        partitions: Iterable["TopicPartition"],
        client_version: int,
    ) -> Outcome[None]:
        """Raises KafkaError."""
        current = self._require(transactional_id, producer)
        if self._is_pending(transactional_id) or current.state in ENDING:
            raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
        if current.state == ONGOING and current.partitions.issuperset(partitions):
            return Outcome()
        return self._write(current.with_partitions(partitions, client_version, self._clock.wall_ms()), None)

    def missing_partitions(
        self, transactional_id: str, producer: ProducerIdentity, partitions: Iterable["TopicPartition"]
    ) -> set["TopicPartition"]:
        """Those that are not in the transaction of the producer. Raises KafkaError."""
        current = self._require(transactional_id, producer)
        if current.state in ENDING:
            raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
        return set(partitions) - current.partitions

    def end_transaction(
        self, transactional_id: str, producer: ProducerIdentity, *, commit: bool, client_version: int
    ) -> Outcome[ProducerIdentity]:
        """The identity for the next transaction. Raises KafkaError, NoProducerId."""
        current = self.table.committed_get(transactional_id)
        if current is None:
            raise KafkaError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        check_producer(current, producer, client_version)
        if self._is_pending(transactional_id):
            raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
        decided = end(
            current,
            producer,
            commit=commit,
            client_version=client_version,
            new_producer_id=self._surroundings.new_producer_id,
            now_ms=self._clock.wall_ms(),
        )
        if decided is None:
            return Outcome(current.identity)
        return self._write(decided, decided.next_identity)

    def complete(self, ended: TransactionMetadata) -> Outcome[None]:
        """All partitions know how `ended` ended; nothing to do when it is not the latest state any more."""
        if self.table.get(ended.transactional_id) is not ended:
            return Outcome()
        return self._write(ended.completed(self._clock.wall_ms()), None)

    def _require(self, transactional_id: str, producer: ProducerIdentity) -> TransactionMetadata:
        """What is committed, if this is its producer. Raises KafkaError."""
        current = self.table.committed_get(transactional_id)
        if current is None or current.producer_id != producer.producer_id:
            raise KafkaError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        if current.epoch != producer.epoch:
            raise KafkaError(ErrorCode.PRODUCER_FENCED)
        return current

    def _is_pending(self, transactional_id: str) -> bool:
        return self.table.get(transactional_id) is not self.table.committed_get(transactional_id)

    def _write(self, metadata: TransactionMetadata, response: Any) -> Outcome[Any]:
        record = transaction_record(metadata, value_version(self._surroundings.transaction_version()))
        self._decided = cast("Message", record.value), metadata
        out: Outcome[Any] = Outcome(response, [record])
        if metadata.state in ENDING:
            out.on_committed = self._tell_end(metadata.transactional_id)
            # What took too long to commit may be committed later: who tells the partitions sees whether and when.
            out.on_failed = self._tell_end(metadata.transactional_id)
        return out

    def _tell_end(self, transactional_id: str) -> Callable[..., Replies]:
        def tell(code: int = ErrorCode.NONE) -> Replies:
            self._surroundings.end_transaction(transactional_id)
            return []

        return tell

    # -- questions

    def ended(self, transactional_id: str) -> TransactionMetadata | None:
        """The transaction, if its end is decided but not all partitions have been told."""
        metadata = self.table.get(transactional_id)
        return metadata if metadata is not None and metadata.state in ENDING else None

    def is_committed(self, metadata: TransactionMetadata) -> bool:
        return self.table.committed_get(metadata.transactional_id) is metadata

    def committed(self) -> list[TransactionMetadata]:
        return [metadata for _, metadata in self.table.committed_items()]
