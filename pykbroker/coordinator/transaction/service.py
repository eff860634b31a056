"""TransactionCoordinatorService: transactional id → partition → shard, the errors common to all transaction APIs."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from pykbroker.coordinator.context import Settings
from pykbroker.coordinator.errors import error_for_client
from pykbroker.coordinator.runtime_loop import CoordinatorRuntime
from pykbroker.coordinator.transaction.marker_loop import MarkerLoop
from pykbroker.coordinator.transaction.marker_router import MarkerRouter
from pykbroker.coordinator.transaction.transaction_metadata import (
    EPOCH_BUMP,
    NEVER_MS,
    NO_IDENTITY,
    NoProducerId,
    ProducerIdentity,
    TransactionMetadata,
)
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.metadata.topic_names import TRANSACTION_STATE_TOPIC
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.hashes import partition_for_id

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.coordinator.other_brokers_loop import OtherBrokers
    from pykbroker.coordinator.partition_writer import PartitionWriter
    from pykbroker.coordinator.shard import Outcome
    from pykbroker.coordinator.transaction.marker_writer import MarkerWriter
    from pykbroker.coordinator.transaction.transaction_shard import TransactionShard
    from pykbroker.ids import Uuid

T = TypeVar("T")

NO_COMPRESSION: Final = 0
COMMIT_TIMEOUT: Final = 5.0
NO_COORDINATOR: Final = -1


class ProducerIds(Protocol):
    """ProducerIdManager."""

    def take(self) -> int | None:
        """A producer id never given before, if one is at hand."""

    async def reserve(self) -> None:
        """Sees to it that there is one. Raises KafkaError COORDINATOR_LOAD_IN_PROGRESS: try again."""


class Elsewhere(NamedTuple):
    """`leader_of`: a node id, negative when there is none now; None: there is no such partition."""

    node_id: int
    leader_of: Callable[[TopicPartition], int | None]
    others: "Callable[[], OtherBrokers]"


class TransactionCoordinatorService:
    """`partitions` tells how many partitions `__transaction_state` has, None while it does not exist.

    `elsewhere`: where other brokers lead partitions and coordinate transactions; None: all is here. `runtime.run()` and
    `markers.run()` must run in a nursery. Errors are raised as KafkaError, as clients hear them.
    """

    def __init__(
        self,
        config: "BrokerConfig",
        clock: "Clock",
        writer: "PartitionWriter",
        marker_writer: "MarkerWriter",
        *,
        producer_ids: Callable[[], ProducerIds],
        partitions: Callable[[], int | None],
        transaction_version: Callable[[], int],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._producer_ids = producer_ids
        self._topic_partitions = partitions
        self._partitions: int | None = None
        self.transaction_version = transaction_version
        self.marker_writer = marker_writer
        self._elsewhere = elsewhere
        router = marker_writer if elsewhere is None else _router(marker_writer, elsewhere)
        self.markers = MarkerLoop(self, router, clock, config.request_timeout_ms / 1000)
        settings = Settings(
            "transaction", NO_COMPRESSION, COMMIT_TIMEOUT, config.transaction_state_log_load_buffer_size
        )
        self.runtime: CoordinatorRuntime[TransactionShard] = CoordinatorRuntime(
            TRANSACTION_STATE_TOPIC, self._new_shard, writer, clock, settings
        )

    def _new_shard(self) -> "TransactionShard":
        # Most brokers never see a transaction.
        from pykbroker.coordinator.transaction.transaction_shard import TransactionShard

        return TransactionShard(self._config, self._clock, self)

    # -- elections, from the metadata image

    def on_elected(self, partition: int, leader_epoch: int) -> None:
        self.runtime.elect(partition, leader_epoch)

    def on_resigned(self, partition: int, leader_epoch: int | None) -> None:
        self.runtime.resign(partition, leader_epoch)

    def on_topics_deleted(self, topics: Iterable[tuple[str, "Uuid"]]) -> None:
        """Their partitions need no marker, as the MarkerLoop sees when it gets there."""

    def partition_for(self, transactional_id: str) -> int:
        """The number of partitions is fixed once the topic is seen: adding some must not move transactions."""
        if self._partitions is None:
            self._partitions = self._topic_partitions()
        return partition_for_id(transactional_id, self._partitions or self._config.transaction_state_log_num_partitions)

    @property
    def has_coordinators(self) -> bool:
        """Somebody has asked for one before: `__transaction_state` exists."""
        return self._topic_partitions() is not None

    # -- what clients ask for

    async def init_producer_id(
        self,
        transactional_id: str,
        timeout_ms: int,
        expected: ProducerIdentity | None,
        *,
        enable_2pc: bool = False,
        keep_prepared: bool = False,
    ) -> ProducerIdentity:
        if not transactional_id:
            raise KafkaError(ErrorCode.INVALID_REQUEST)
        if enable_2pc and not self._config.transaction_two_phase_commit_enable:
            raise KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        if keep_prepared:
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
        if not enable_2pc and not 0 < timeout_ms <= self._config.transaction_max_timeout_ms:
            raise KafkaError(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
        timeout = NEVER_MS if enable_2pc else timeout_ms
        identity = await self._write(
            transactional_id, lambda shard: shard.init_producer_id(transactional_id, timeout, expected)
        )
        if identity is None or identity == NO_IDENTITY:
            raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
        return identity

    async def add_partitions(
        self,
        transactional_id: str,
        producer: ProducerIdentity,
        partitions: Collection[TopicPartition],
        client_version: int,
    ) -> None:
        _require_id(transactional_id)
        await self._write(
            transactional_id,
            lambda shard: shard.add_partitions(transactional_id, producer, partitions, client_version),
        )

    def missing_partitions(
        self, transactional_id: str, producer: ProducerIdentity, partitions: Collection[TopicPartition]
    ) -> set[TopicPartition]:
        """Those that are not in the transaction."""
        _require_id(transactional_id)
        shard = self.runtime.shard(self.partition_for(transactional_id))
        return shard.missing_partitions(transactional_id, producer, partitions)

    async def admit(
        self,
        transactional_id: str,
        producer: ProducerIdentity,
        partitions: Collection[TopicPartition],
        *,
        adds: bool,
    ) -> Mapping[TopicPartition, int]:
        """The errors of those that are not in the transaction, whoever coordinates it; `adds`: which they are to be
        then. Raises nothing."""
        coordinator = self._coordinator_of(transactional_id)
        if coordinator is None:
            return await self._admit_here(transactional_id, producer, partitions, adds)
        if coordinator < 0 or self._elsewhere is None:
            return dict.fromkeys(partitions, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        manager = self._elsewhere.others().admissions
        return await manager.ask(coordinator, transactional_id, producer, partitions, adds=adds).wait()

    async def _admit_here(
        self, transactional_id: str, producer: ProducerIdentity, partitions: Collection[TopicPartition], adds: bool
    ) -> Mapping[TopicPartition, int]:
        try:
            if adds:
                await self.add_partitions(transactional_id, producer, partitions, EPOCH_BUMP)
                return {}
            missing = self.missing_partitions(transactional_id, producer, partitions)
        except KafkaError as error:
            return dict.fromkeys(partitions, error.code)
        return dict.fromkeys(missing, ErrorCode.TRANSACTION_ABORTABLE)

    def _coordinator_of(self, transactional_id: str) -> int | None:
        """None: this broker; negative: there is none now."""
        if not self.has_coordinators:
            return NO_COORDINATOR
        if self._elsewhere is None:
            return None
        tp = TopicPartition(TRANSACTION_STATE_TOPIC, self.partition_for(transactional_id))
        leader = self._elsewhere.leader_of(tp)
        if leader == self._elsewhere.node_id:
            return None
        return NO_COORDINATOR if leader is None else leader

    async def end(
        self, transactional_id: str, producer: ProducerIdentity, *, commit: bool, client_version: int
    ) -> ProducerIdentity:
        """The identity for the next transaction."""
        _require_id(transactional_id)
        identity = await self._write(
            transactional_id,
            lambda shard: shard.end_transaction(
                transactional_id, producer, commit=commit, client_version=client_version
            ),
        )
        if identity is None:
            raise RuntimeError("EndTxn without response")
        return identity

    def describe(self, transactional_id: str) -> TransactionMetadata:
        if not transactional_id:
            raise KafkaError(ErrorCode.INVALID_REQUEST)
        shard = self.runtime.shard(self.partition_for(transactional_id))
        metadata = shard.table.committed_get(transactional_id)
        if metadata is None:
            raise KafkaError(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
        return metadata

    def all(self) -> list[TransactionMetadata]:
        """Every transactional id that this broker coordinates."""
        return [metadata for shard in self.runtime.shards() for metadata in shard.committed()]

    async def _write(self, transactional_id: str, operation: "Callable[[TransactionShard], Outcome[T]]") -> T | None:
        while True:
            try:
                response = await self.runtime.write(self.partition_for(transactional_id), operation)
            except NoProducerId:
                await self._producer_ids().reserve()
            except KafkaError as error:
                raise error_for_client(error) from error
            else:
                # What is led here is told before the client hears of it: its next transaction begins without delay.
                if self.markers:
                    self.markers.step()
                return response

    # -- what shards ask for (Surroundings)

    def new_producer_id(self) -> int:
        producer_id = self._producer_ids().take()
        if producer_id is None:
            raise NoProducerId
        return producer_id

    def end_transaction(self, transactional_id: str) -> None:
        self.markers.add(transactional_id)

    # -- what the MarkerLoop asks for

    def ended(self, transactional_id: str) -> tuple[TransactionMetadata, int, bool] | None:
        partition = self.partition_for(transactional_id)
        if not self.runtime.is_active(partition):
            return None  # whoever loads it tells the partitions
        shard = self.runtime.shard(partition)
        metadata = shard.ended(transactional_id)
        if metadata is None:
            return None
        return metadata, self.runtime.epoch(partition), shard.is_committed(metadata)

    def complete(self, metadata: TransactionMetadata) -> None:
        self.runtime.begin(self.partition_for(metadata.transactional_id), lambda shard: shard.complete(metadata))


def _router(here: "MarkerWriter", elsewhere: Elsewhere) -> MarkerRouter:
    return MarkerRouter(elsewhere.node_id, elsewhere.leader_of, here, lambda: elsewhere.others().markers)


def _require_id(transactional_id: str) -> None:
    if not transactional_id:
        raise KafkaError(ErrorCode.INVALID_REQUEST)
