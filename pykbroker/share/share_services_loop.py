"""All that serves share groups, made when the first request or the state topic calls for it: most brokers have none.

Kafka: BrokerServer's share coordinator, persister and SharePartitionManager.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from pykbroker.coordinator.elections import Elections
from pykbroker.coordinator.group.share_initialization_loop import ShareInitializationLoop
from pykbroker.coordinator.group.share_service import ShareGroupService
from pykbroker.coordinator.share.persister_loop import StatePersister, StateTopic
from pykbroker.coordinator.share.service import ShareCoordinatorService
from pykbroker.coordinator.share.share_state_router import ShareStateRouter
from pykbroker.coordinator.share.upkeep_loop import UpkeepLoop
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.metadata.features import SHARE_VERSION
from pykbroker.metadata.topic_names import SHARE_GROUP_STATE_TOPIC
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.list_offsets import latest_offset
from pykbroker.share.group_limits import GroupLimits
from pykbroker.share.share_loop import ShareLoop
from pykbroker.share.share_partition_manager import SharePartitionManager
from pykbroker.share.share_session import ShareSessionCache

if TYPE_CHECKING:
    from pykbroker.coordinator.other_brokers_loop import OtherBrokers
    from pykbroker.metadata.publisher import MetadataPublisher
    from pykbroker.request import Services


class ShareServices:
    """`run` must run in a nursery, after `follow`."""

    def __init__(self, broker: "Services", state_topic: StateTopic, others: "Callable[[], OtherBrokers]") -> None:
        self._broker = broker
        config = broker.config
        self.coordinator = ShareCoordinatorService(
            config, broker.clock, broker.replicas, partitions=self._state_partitions, image=lambda: broker.image
        )
        self._others = others
        router = ShareStateRouter(self.coordinator, self._keeper_elsewhere, lambda: others().share_states)
        self.persister = StatePersister(router, state_topic)
        self._initializations = ShareInitializationLoop()
        self.groups = ShareGroupService(
            broker.groups,
            self.persister,
            image=lambda: broker.image,
            end_offset=self._end_offset,
            soon=self._initializations.soon,
        )
        self.partitions = SharePartitionManager(
            replicas=broker.replicas,
            persister=self.persister,
            clock=broker.clock,
            limits=GroupLimits(lambda: broker.config, lambda: broker.image),
            sessions=ShareSessionCache(config.group_share_max_share_sessions),
        )
        self._partitions_loop = ShareLoop(self.partitions, broker.clock)
        self._upkeep = UpkeepLoop(self.coordinator, config, self._are_enabled)

    def _state_partitions(self) -> int | None:
        topic = self._broker.image.topics.get(SHARE_GROUP_STATE_TOPIC)
        return None if topic is None else len(topic.partitions)

    def _keeper_elsewhere(self, partition: int) -> int | None:
        """Another broker that leads a partition of the state topic."""
        leader = self._broker.replicas.leader_of(SHARE_GROUP_STATE_TOPIC, partition)[0]
        return leader if leader >= 0 and leader != self._broker.node_id else None

    def _end_offset(self, tp: TopicPartition) -> int | Pending[int]:
        """Raises KafkaError."""
        leader = self._broker.replicas.leader_of(*tp)[0]
        if leader == self._broker.node_id:
            return latest_offset(self._broker.replicas.partition(tp))
        if leader < 0:
            raise KafkaError(ErrorCode.LEADER_NOT_AVAILABLE)
        return self._others().latest_offsets.ask(leader, tp)

    def _are_enabled(self) -> bool:
        return self._broker.image.features.finalized.get(SHARE_VERSION, 0) > 0

    def follow(self, publisher: "MetadataPublisher") -> None:
        """A coordinator that is elected appends at once: the replicas must be told before."""
        publisher.subscribe(Elections(SHARE_GROUP_STATE_TOPIC, self.coordinator, self._broker.node_id))
        publisher.subscribe(self.partitions)

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._initializations.run, name="share group initialization")
            nursery.start_soon(self.coordinator.runtime.run, name="share coordinator")
            nursery.start_soon(self._partitions_loop.run, name="share partitions")
            nursery.start_soon(self._upkeep.run, name="share coordinator upkeep")
