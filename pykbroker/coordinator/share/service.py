"""ShareCoordinatorService: share partition → partition of `__share_group_state` → shard. A Persister for whom it leads.

A request may name many share partitions; each is decided by itself and has its own error.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from pykbroker.coordinator.context import Settings
from pykbroker.coordinator.errors import client_error
from pykbroker.coordinator.runtime_loop import CoordinatorRuntime
from pykbroker.coordinator.share.refused import Refused
from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.metadata.topic_names import SHARE_GROUP_STATE_TOPIC
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.hashes import partition_for_id

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.coordinator.partition_writer import PartitionWriter
    from pykbroker.coordinator.shard import Outcome
    from pykbroker.coordinator.share.share_group_offset import ShareGroupOffset
    from pykbroker.coordinator.share.share_shard import ShareCoordinatorShard
    from pykbroker.ids import Uuid
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.pending import Pending
    from pykbroker.protocol.messages.delete_share_group_state import (
        DeleteShareGroupStateRequest,
        DeleteShareGroupStateResponse,
    )
    from pykbroker.protocol.messages.initialize_share_group_state import (
        InitializeShareGroupStateRequest,
        InitializeShareGroupStateResponse,
    )
    from pykbroker.protocol.messages.read_share_group_state import (
        ReadShareGroupStateRequest,
        ReadShareGroupStateResponse,
    )
    from pykbroker.protocol.messages.read_share_group_state_summary import (
        ReadShareGroupStateSummaryRequest,
        ReadShareGroupStateSummaryResponse,
    )
    from pykbroker.protocol.messages.write_share_group_state import (
        WriteShareGroupStateRequest,
        WriteShareGroupStateResponse,
    )

logger = logging.getLogger(__name__)

T = TypeVar("T")
P = TypeVar("P", bound="PartitionRow")
R = TypeVar("R")

_ELSEWHERE: Final = frozenset((ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NOT_COORDINATOR))
_MESSAGES: Final[dict[int, str]] = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: "This server does not host this topic-partition.",
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS: "The coordinator is loading and hence can't process requests.",
    ErrorCode.NOT_LEADER_OR_FOLLOWER: (
        "For requests intended only for the leader, this error indicates that the broker is not the current leader. "
        "For requests intended for any replica, this error indicates that the broker is not a replica of the topic "
        "partition."
    ),
    ErrorCode.REQUEST_TIMED_OUT: "The request timed out.",
    ErrorCode.NOT_COORDINATOR: "This is not the correct coordinator.",
    ErrorCode.FENCED_LEADER_EPOCH: "The leader epoch in the request is older than the epoch on the broker.",
    ErrorCode.FENCED_STATE_EPOCH: (
        "The share coordinator rejected the request because the share-group state epoch did not match."
    ),
}


class PartitionRow(Protocol):
    """PartitionData of any request."""

    partition: int


class TopicRow(Protocol[P]):
    """The rows of one topic in any request."""

    topic_id: "Uuid"
    partitions: list[P]


class ShareCoordinatorService:
    """Implements Persister. `partitions` tells how many partitions `__share_group_state` has, None while it does not
    exist. `runtime.run()` must run in a nursery."""

    def __init__(
        self,
        config: "BrokerConfig",
        clock: "Clock",
        writer: "PartitionWriter",
        *,
        partitions: Callable[[], int | None],
        image: "Callable[[], MetadataImage]",
    ) -> None:
        self._config = config
        self._clock = clock
        self._topic_partitions = partitions
        self._partitions: int | None = None
        self._image = image
        self._writer = writer
        self._pruned: dict[int, int] = {}  # partition → its log start offset, as far as we moved it
        settings = Settings(
            "share",
            config.share_coordinator_state_topic_compression_codec,
            config.share_coordinator_write_timeout_ms / 1000,
            config.share_coordinator_load_buffer_size,
        )
        self.runtime: CoordinatorRuntime[ShareCoordinatorShard] = CoordinatorRuntime(
            SHARE_GROUP_STATE_TOPIC, self._new_shard, writer, clock, settings
        )

    def _new_shard(self) -> "ShareCoordinatorShard":
        # Most brokers never see a share group.
        from pykbroker.coordinator.share.share_shard import ShareCoordinatorShard

        return ShareCoordinatorShard(self._config, self._clock, self._partition_count)

    def _partition_count(self, topic_id: "Uuid") -> int | None:
        topic = self._image().topics.by_id(topic_id)
        return None if topic is None else len(topic.partitions)

    # -- elections, from the metadata image

    def on_elected(self, partition: int, leader_epoch: int) -> None:
        self.runtime.elect(partition, leader_epoch)

    def on_resigned(self, partition: int, leader_epoch: int | None) -> None:
        self._pruned.pop(partition, None)
        self.runtime.resign(partition, leader_epoch)

    def on_topics_deleted(self, topics: "Iterable[tuple[str, Uuid]]") -> None:
        topic_ids = frozenset(topic_id for _, topic_id in topics)
        self.runtime.write_all(lambda shard: shard.delete_state_of_topics(topic_ids))

    def partition_for(self, key: SharePartitionKey) -> int:
        """The number of partitions is fixed once the topic is seen: adding some must not move states."""
        if self._partitions is None:
            self._partitions = self._topic_partitions()
        return partition_for_id(str(key), self._partitions or self._config.share_coordinator_state_topic_num_partitions)

    # -- upkeep of the log

    def snapshot_cold_partitions(self) -> None:
        self.runtime.write_all(lambda shard: shard.snapshot_cold_partitions())

    async def prune(self) -> None:
        """Deletes the records in front of the oldest snapshot that counts, in every partition that is loaded."""
        for partition in self.runtime.partitions():
            try:
                await self._prune(partition)
            except KafkaError as error:
                level = logging.DEBUG if error.code in _ELSEWHERE else logging.ERROR
                logger.log(level, "%s-%d can't be pruned: %s", SHARE_GROUP_STATE_TOPIC, partition, error)

    async def _prune(self, partition: int) -> None:
        offset = await self.runtime.write(partition, lambda shard: shard.last_redundant_offset())
        if offset is None or self._pruned.get(partition) == offset:
            return
        self._writer.delete_records(TopicPartition(SHARE_GROUP_STATE_TOPIC, partition), offset)
        self._pruned[partition] = offset

    # -- Persister

    async def initialize_state(
        self, request: "InitializeShareGroupStateRequest"
    ) -> "InitializeShareGroupStateResponse":
        from pykbroker.protocol.messages import initialize_share_group_state as api

        found = await self._each(
            "initialize share group state",
            request.group_id,
            request.topics,
            lambda shard, key, row: shard.initialize_state(key, row),
            lambda row, _: api.PartitionResult(row.partition),
            api.PartitionResult,
        )
        return api.InitializeShareGroupStateResponse(
            results=[api.InitializeStateResult(topic_id, rows) for topic_id, rows in found]
        )

    async def read_state(self, request: "ReadShareGroupStateRequest") -> "ReadShareGroupStateResponse":
        from pykbroker.protocol.messages import read_share_group_state as api

        def answer(row: api.PartitionData, offset: "ShareGroupOffset | None") -> api.PartitionResult:
            if offset is None:
                raise RuntimeError("ReadShareGroupState without state")
            batches = [api.StateBatch(first, last, state, count) for first, last, count, state in offset.batches]
            return api.PartitionResult(
                row.partition,
                state_epoch=offset.state_epoch,
                start_offset=offset.start_offset,
                state_batches=batches,
            )

        found = await self._each(
            "read share group state",
            request.group_id,
            _complete(request.topics),
            lambda shard, key, row: shard.read_state(key, row),
            answer,
            api.PartitionResult,
        )
        return api.ReadShareGroupStateResponse(
            results=[api.ReadStateResult(topic_id, rows) for topic_id, rows in found]
        )

    async def write_state(self, request: "WriteShareGroupStateRequest") -> "WriteShareGroupStateResponse":
        from pykbroker.protocol.messages import write_share_group_state as api

        found = await self._each(
            "write share group state",
            request.group_id,
            _complete(request.topics),
            lambda shard, key, row: shard.write_state(key, row),
            lambda row, _: api.PartitionResult(row.partition),
            api.PartitionResult,
        )
        return api.WriteShareGroupStateResponse(
            results=[api.WriteStateResult(topic_id, rows) for topic_id, rows in found]
        )

    async def delete_state(self, request: "DeleteShareGroupStateRequest") -> "DeleteShareGroupStateResponse":
        from pykbroker.protocol.messages import delete_share_group_state as api

        found = await self._each(
            "delete share group state",
            request.group_id,
            _complete(request.topics),
            lambda shard, key, _: shard.delete_state(key),
            lambda row, _: api.PartitionResult(row.partition),
            api.PartitionResult,
        )
        return api.DeleteShareGroupStateResponse(
            results=[api.DeleteStateResult(topic_id, rows) for topic_id, rows in found]
        )

    async def read_summary(self, request: "ReadShareGroupStateSummaryRequest") -> "ReadShareGroupStateSummaryResponse":
        from pykbroker.protocol.messages import read_share_group_state_summary as api

        def answer(row: api.PartitionData, offset: "ShareGroupOffset | None") -> api.PartitionResult:
            if offset is None:
                return api.PartitionResult(row.partition, start_offset=-1)
            return api.PartitionResult(
                row.partition,
                state_epoch=offset.state_epoch,
                leader_epoch=offset.leader_epoch,
                start_offset=offset.start_offset,
                delivery_complete_count=offset.delivery_complete_count,
            )

        found = await self._each(
            "read share group state summary",
            request.group_id,
            _complete(request.topics),
            lambda shard, key, _: shard.read_summary(key),
            answer,
            api.PartitionResult,
        )
        return api.ReadShareGroupStateSummaryResponse(
            results=[api.ReadStateSummaryResult(topic_id, rows) for topic_id, rows in found]
        )

    # -- one request, many share partitions

    async def _each(
        self,
        doing: str,
        group_id: str,
        topics: Sequence[TopicRow[P]],
        operation: "Callable[[ShareCoordinatorShard, SharePartitionKey, P], Outcome[T]]",
        answer: Callable[[P, T | None], R],
        refuse: Callable[[int, int, str], R],
    ) -> "Iterable[tuple[Uuid, list[R]]]":
        """All are begun before one is waited for. Of several rows for a share partition the last is answered."""
        if not group_id:
            return []
        begun: dict[Uuid, dict[int, Callable[[], Awaitable[R]]]] = {}
        for topic in topics:
            for row in topic.partitions:
                key = SharePartitionKey(group_id, topic.topic_id, row.partition)
                finish = self._begin(doing, key, row, operation, answer, refuse)
                begun.setdefault(topic.topic_id, {})[row.partition] = finish
        return [(topic_id, [await finish() for finish in rows.values()]) for topic_id, rows in begun.items()]

    def _begin(
        self,
        doing: str,
        key: SharePartitionKey,
        row: P,
        operation: "Callable[[ShareCoordinatorShard, SharePartitionKey, P], Outcome[T]]",
        answer: Callable[[P, T | None], R],
        refuse: Callable[[int, int, str], R],
    ) -> "Callable[[], Awaitable[R]]":
        error: KafkaError | None = None
        waiter: Pending[None] | None = None
        response: T | None = None
        try:
            outcome, waiter = self.runtime.begin(self.partition_for(key), lambda shard: operation(shard, key, row))
            response = outcome.response
        except KafkaError as caught:
            error = caught

        async def finish() -> R:
            problem = error
            if waiter is not None:
                try:
                    await waiter.wait()
                except KafkaError as caught:
                    problem = caught
            if problem is None:
                return answer(row, response)
            return refuse(row.partition, *_told(doing, problem))

        return finish


def _complete(topics: list[Any]) -> list[Any]:
    """None at all when one of them is without partitions."""
    return topics if all(topic.partitions for topic in topics) else []


def _told(doing: str, error: KafkaError) -> tuple[int, str]:
    """Error code and message, as the client hears them."""
    message = error.message or _MESSAGES.get(error.code, str(error))
    if isinstance(error, Refused):
        return error.code, message
    return client_error(error.code), f"Unable to {doing}: {message}"
