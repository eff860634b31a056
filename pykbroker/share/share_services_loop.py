"""All that serves share groups, made when the first request or the state topic calls for it: most brokers have none.

Kafka: BrokerServer's share coordinator, persister and SharePartitionManager.
"""

from typing import TYPE_CHECKING

import trio

from pykbroker.coordinator.elections import Elections
from pykbroker.coordinator.group.share_initialization_loop import ShareInitializationLoop
from pykbroker.coordinator.group.share_service import ShareGroupService
from pykbroker.coordinator.share.persister_loop import StatePersister, StateTopic
from pykbroker.coordinator.share.service import ShareCoordinatorService
from pykbroker.coordinator.share.upkeep_loop import UpkeepLoop
from pykbroker.metadata.features import SHARE_VERSION
from pykbroker.metadata.topic_names import SHARE_GROUP_STATE_TOPIC
from pykbroker.replica.list_offsets import latest_offset
from pykbroker.share.group_limits import GroupLimits
from pykbroker.share.share_loop import ShareLoop
from pykbroker.share.share_partition_manager import SharePartitionManager
from pykbroker.share.share_session import ShareSessionCache

if TYPE_CHECKING:
    from pykbroker.metadata.publisher import MetadataPublisher
    from pykbroker.request import Services


class ShareServices:
    """`run` must run in a nursery, after `follow`."""

    def __init__(self, broker: "Services", state_topic: StateTopic) -> None:
        self._broker = broker
        config = broker.config
        self.coordinator = ShareCoordinatorService(
            config, broker.clock, broker.replicas, partitions=self._state_partitions, image=lambda: broker.image
        )
        self.persister = StatePersister(self.coordinator, state_topic)
        self._initializations = ShareInitializationLoop()
        self.groups = ShareGroupService(
            broker.groups,
            self.persister,
            image=lambda: broker.image,
            end_offset=lambda tp: latest_offset(broker.replicas.partition(tp)),
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
