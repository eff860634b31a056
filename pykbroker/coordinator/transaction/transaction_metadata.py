"""One transactional id: who produces under it, what state its transaction is in, how that may change.

(TransactionMetadata, TransactionState, TxnTransitMetadata; KIP-98, KIP-360, KIP-890.) Values are immutable: a
transition gives a new one, which counts once its record is in the log. As long as that record is not committed the
transition is pending, and nobody else may begin one.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pykbroker.ids import TopicPartition

# As in the log. Kafka has two more in memory, for what is about to be written: that is what `pending` says here.
EMPTY: Final = 0
ONGOING: Final = 1
PREPARE_COMMIT: Final = 2
PREPARE_ABORT: Final = 3
COMPLETE_COMMIT: Final = 4
COMPLETE_ABORT: Final = 5

# State → states it may go to; anything else is our bug. From a state without transaction to PREPARE_ABORT: only with
# transactions v2, where an abort must bump the epoch even if no partition was added.
TRANSITIONS: Final[Mapping[int, frozenset[int]]] = {
    EMPTY: frozenset((EMPTY, ONGOING, PREPARE_ABORT)),
    ONGOING: frozenset((ONGOING, PREPARE_COMMIT, PREPARE_ABORT)),
    PREPARE_COMMIT: frozenset((COMPLETE_COMMIT,)),
    PREPARE_ABORT: frozenset((COMPLETE_ABORT,)),
    COMPLETE_COMMIT: frozenset((EMPTY, ONGOING, PREPARE_ABORT)),
    COMPLETE_ABORT: frozenset((EMPTY, ONGOING, PREPARE_ABORT)),
}
STATE_NAMES: Final[Mapping[int, str]] = {
    EMPTY: "Empty",
    ONGOING: "Ongoing",
    PREPARE_COMMIT: "PrepareCommit",
    PREPARE_ABORT: "PrepareAbort",
    COMPLETE_COMMIT: "CompleteCommit",
    COMPLETE_ABORT: "CompleteAbort",
}
ENDING: Final = frozenset((PREPARE_COMMIT, PREPARE_ABORT))
# Without an open transaction: these expire, and a new transaction may start from them.
AT_REST: Final = frozenset((EMPTY, COMPLETE_COMMIT, COMPLETE_ABORT))

NO_PRODUCER_ID: Final = -1
NO_EPOCH: Final = -1
NO_TIMESTAMP: Final = -1
# A transaction that an outside coordinator decides about never times out (KIP-939).
NEVER_MS: Final = 2**31 - 1
# The highest epoch a client gets. One more is left for fencing it.
LAST_EPOCH: Final = 32766
# The client's transaction version: from this one on every transaction has an epoch of its own (KIP-890).
EPOCH_BUMP: Final = 2
NO_PARTITIONS: Final[frozenset[TopicPartition]] = frozenset()


class NoProducerId(Exception):
    """No producer id is at hand. Nothing was decided yet."""


class ProducerIdentity(NamedTuple):
    producer_id: int
    epoch: int


NO_IDENTITY: Final = ProducerIdentity(NO_PRODUCER_ID, NO_EPOCH)


class TransactionMetadata(NamedTuple):
    """Times in wall milliseconds. `last_epoch` is known only to the coordinator that wrote it, not to the log.

    `previous_producer_id` is that before the latest transition; `next_producer_id` takes over when the transaction
    that exhausted the epochs has ended.
    """

    transactional_id: str
    producer_id: int
    timeout_ms: int
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    epoch: int = NO_EPOCH
    last_epoch: int = NO_EPOCH
    state: int = EMPTY
    partitions: frozenset[TopicPartition] = NO_PARTITIONS
    start_timestamp: int = NO_TIMESTAMP
    last_update_timestamp: int = NO_TIMESTAMP
    client_version: int = 0

    @property
    def identity(self) -> ProducerIdentity:
        return ProducerIdentity(self.producer_id, self.epoch)

    @property
    def next_identity(self) -> ProducerIdentity:
        """That of the next transaction, when this one is ending."""
        if self.next_producer_id == NO_PRODUCER_ID:
            return self.identity
        return ProducerIdentity(self.next_producer_id, 0)

    @property
    def is_epoch_exhausted(self) -> bool:
        return self.epoch >= LAST_EPOCH

    def is_timed_out(self, now_ms: int) -> bool:
        is_late = self.start_timestamp + self.timeout_ms < now_ms
        return is_late and self.state == ONGOING and self.timeout_ms != NEVER_MS

    # -- transitions

    def with_epoch(self, epoch: int, last_epoch: int, timeout_ms: int, now_ms: int) -> "TransactionMetadata":
        """A producer has begun anew under this epoch."""
        return self._initialized(self.producer_id, epoch, last_epoch, timeout_ms, now_ms)

    def with_producer_id(
        self, producer_id: int, last_epoch: int, timeout_ms: int, now_ms: int
    ) -> "TransactionMetadata":
        """The epochs of the old producer id are used up."""
        return self._initialized(producer_id, 0, last_epoch, timeout_ms, now_ms)

    def _initialized(
        self, producer_id: int, epoch: int, last_epoch: int, timeout_ms: int, now_ms: int
    ) -> "TransactionMetadata":
        return self._to(
            EMPTY,
            producer_id=producer_id,
            epoch=epoch,
            last_epoch=last_epoch,
            timeout_ms=timeout_ms,
            partitions=NO_PARTITIONS,
            start_timestamp=NO_TIMESTAMP,
            last_update_timestamp=now_ms,
        )

    def with_partitions(
        self, partitions: Iterable[TopicPartition], client_version: int, now_ms: int
    ) -> "TransactionMetadata":
        """Begins a transaction if there is none."""
        return self._to(
            ONGOING,
            partitions=self.partitions.union(partitions),
            start_timestamp=now_ms if self.state in AT_REST else self.start_timestamp,
            last_update_timestamp=now_ms,
            client_version=client_version,
        )

    def ending(
        self, *, commit: bool, epoch: int, last_epoch: int, next_producer_id: int, client_version: int, now_ms: int
    ) -> "TransactionMetadata":
        """Decided; what is left is to tell the partitions."""
        return self._to(
            PREPARE_COMMIT if commit else PREPARE_ABORT,
            epoch=epoch,
            last_epoch=last_epoch,
            next_producer_id=next_producer_id,
            start_timestamp=now_ms if self.state in AT_REST else self.start_timestamp,
            last_update_timestamp=now_ms,
            client_version=client_version,
        )

    def completed(self, now_ms: int) -> "TransactionMetadata":
        """All partitions have their marker."""
        state = COMPLETE_COMMIT if self.state == PREPARE_COMMIT else COMPLETE_ABORT
        producer_id, epoch = self.next_identity
        return self._to(
            state,
            producer_id=producer_id,
            epoch=epoch,
            next_producer_id=NO_PRODUCER_ID,
            partitions=NO_PARTITIONS,
            last_update_timestamp=now_ms,
        )

    def _to(self, state: int, **changes: object) -> "TransactionMetadata":
        if state not in TRANSITIONS[self.state]:
            way = f"from {STATE_NAMES[self.state]} to {STATE_NAMES[state]}"
            raise RuntimeError(f"transactional id {self.transactional_id}: there is no way {way}")
        return self._replace(state=state, previous_producer_id=self.producer_id, **changes)  # type: ignore[arg-type]
