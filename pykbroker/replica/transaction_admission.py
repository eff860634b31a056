"""Asks the transaction coordinator before the first batch of a transaction goes into a partition (KIP-890).

Old clients add partitions beforehand, so that it is only checked here; new ones leave that to the broker.
(AddPartitionsToTxnManager, ReplicaManager.maybeSendPartitionsToTransactionCoordinator)
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pykbroker.coordinator.transaction.transaction_metadata import ProducerIdentity
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.verifications import Verification, start_verification

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.replica.replica_manager import ReplicaManager


class Support(NamedTuple):
    """What a client of some version knows. `adds_partitions`: the broker does it for it, and bumps epochs."""

    adds_partitions: bool
    abortable_error: bool


FULL: Final = Support(True, True)
_ABORTABLE: Final = Support(False, True)
_OLD: Final = Support(False, False)


def produce_support(version: int) -> Support:
    return FULL if version >= 12 else _ABORTABLE if version == 11 else _OLD


def txn_offset_commit_support(version: int) -> Support:
    return FULL if version >= 5 else _ABORTABLE if version == 4 else _OLD


class Admission(NamedTuple):
    """`guard`: what to append with; None: the transaction is open in the partition already."""

    error: int = ErrorCode.NONE
    guard: Verification | None = None


class Coordinator(Protocol):
    """TransactionCoordinatorService."""

    async def admit(
        self,
        transactional_id: str,
        producer: ProducerIdentity,
        partitions: Collection[TopicPartition],
        *,
        adds: bool,
    ) -> Mapping[TopicPartition, int]:
        """The errors of those that are not in the transaction; `adds`: which they are to be then."""


class Admissions:
    """One request's. `retries`: how often to ask again while the transaction before is being completed."""

    def __init__(
        self,
        replicas: "ReplicaManager",
        coordinator: Coordinator,
        config: "BrokerConfig",
        clock: "Clock",
        transactional_id: str,
        producer: ProducerIdentity,
        support: Support,
        retries: int = 0,
    ) -> None:
        self._replicas = replicas
        self._coordinator = coordinator
        self._clock = clock
        self._transactional_id = transactional_id
        self._producer = producer
        self._support = support
        self._retries = retries
        self._backoff = config.add_partitions_to_txn_retry_backoff_ms / 1000
        self._asks = support.adds_partitions or config.transaction_partition_verification_enable

    async def of(self, sequences: Mapping[TopicPartition, int]) -> dict[TopicPartition, Admission]:
        """By partition; `sequences`: the first one of each batch."""
        found = self._start(sequences)
        to_ask = [tp for tp, admission in found.items() if admission.guard is not None]
        if not to_ask or not self._asks:
            return found
        errors = await self._ask(to_ask)
        for _ in range(self._retries):
            if ErrorCode.CONCURRENT_TRANSACTIONS not in errors.values():
                break
            await Pending[None]().wait_until(self._clock.monotonic() + self._backoff)
            # Meanwhile a marker may have taken the guards back.
            found = self._start(sequences)
            to_ask = [tp for tp, admission in found.items() if admission.guard is not None]
            errors = await self._ask(to_ask)
        for tp, code in errors.items():
            found[tp] = Admission(self._client_error(code))
        return found

    def _start(self, sequences: Mapping[TopicPartition, int]) -> dict[TopicPartition, Admission]:
        return {tp: self._start_one(tp, sequence) for tp, sequence in sequences.items()}

    def _start_one(self, tp: TopicPartition, sequence: int) -> Admission:
        try:
            guard = start_verification(
                self._replicas.partition(tp),
                self._producer.producer_id,
                self._producer.epoch,
                sequence,
                bumps_epochs=self._support.adds_partitions,
                now_ms=self._clock.wall_ms(),
            )
        except KafkaError as error:
            return Admission(error.code)
        return Admission(guard=guard)

    async def _ask(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The errors of those that are not in the transaction."""
        if not partitions:
            return {}
        return await self._coordinator.admit(
            self._transactional_id, self._producer, partitions, adds=self._support.adds_partitions
        )

    def _client_error(self, code: int) -> int:
        if code == ErrorCode.PRODUCER_FENCED:
            return ErrorCode.INVALID_PRODUCER_EPOCH  # which producers know from their batches
        if code == ErrorCode.TRANSACTION_ABORTABLE and not self._support.abortable_error:
            return ErrorCode.INVALID_TXN_STATE
        return code
