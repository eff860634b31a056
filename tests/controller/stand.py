"""What handlers see of a broker, and its controller: no network, but the cluster's state is a real metadata log."""

import random
from collections.abc import Sequence
from pathlib import Path

import trio

from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.dynamic import DynamicBrokerConfig
from pykbroker.controller.controller import Controller
from pykbroker.controller_link.auto_topic_creation import AutoTopicCreation, InternalTopic
from pykbroker.controller_link.lifecycle_loop import LifecycleLoop
from pykbroker.controller_link.local import LocalControllerLink
from pykbroker.coordinator.elections import Elections
from pykbroker.coordinator.group.service import OFFSETS_TOPIC, GroupCoordinatorService
from pykbroker.coordinator.share.persister_loop import StatePersister
from pykbroker.coordinator.share.service import ShareCoordinatorService
from pykbroker.coordinator.transaction.marker_writer import MarkerWriter
from pykbroker.coordinator.transaction.service import TransactionCoordinatorService
from pykbroker.ids import Endpoint, Uuid
from pykbroker.log.log_manager import LogManager
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.metadata.topic_names import SHARE_GROUP_STATE_TOPIC, TRANSACTION_STATE_TOPIC
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatRequest
from pykbroker.raft.opening import open_metadata_log
from pykbroker.replica.fetch_session import FetchSessionCache
from pykbroker.replica.producer_ids import ProducerIdManager
from pykbroker.replica.replica_manager import ReplicaManager
from pykbroker.request import RequestContext
from pykbroker.share.group_limits import GroupLimits
from pykbroker.share.share_partition_manager import SharePartitionManager
from pykbroker.share.share_session import ShareSessionCache
from tests.replica.stand import NODE_ID, UnsyncedFiles


class ClusterStand:
    """Implements request.Services. Node 1 is unfenced; what the controller writes is published at once."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """`settings`: broker configs with underscores."""
        self.clock = ManualClock()
        self.config = BrokerConfig({name.replace("_", "."): value for name, value in settings.items()})
        self.node_id = NODE_ID
        self.logs = LogManager([str(folder / "data")], clock=self.clock, files=UnsyncedFiles())
        self.cluster_id = self.logs.open(node_id=NODE_ID, cluster_id=None, new_cluster_id=lambda: str(Uuid.random()))
        self._publisher = MetadataPublisher(self.cluster_id)
        self._lifecycles: dict[int, LifecycleLoop] = {}
        self.dynamic_config = DynamicBrokerConfig(self.config, NODE_ID)
        self._publisher.subscribe(self.dynamic_config)
        self._controller = self._new_controller()
        self._controller.start()
        self.controller = LocalControllerLink(self._controller, NODE_ID)
        self.topic_creation = AutoTopicCreation(self.controller, self.config)
        self.producer_ids = ProducerIdManager(self.controller)
        self.fetch_sessions = FetchSessionCache(1000, self.clock, seed=1)
        config_for = self.dynamic_config.log_config
        self.logs.load(config_for)
        self.replicas = ReplicaManager(node_id=NODE_ID, logs=self.logs, clock=self.clock, config_for=config_for)
        self.groups = GroupCoordinatorService(
            self.config, self.clock, self.replicas, lambda: self._partitions_of(OFFSETS_TOPIC)
        )
        self.transactions = TransactionCoordinatorService(
            self.config,
            self.clock,
            self.replicas,
            MarkerWriter(self.replicas, self.groups),
            producer_ids=lambda: self.producer_ids,
            partitions=lambda: self._partitions_of(TRANSACTION_STATE_TOPIC),
            transaction_version=lambda: 2,
        )
        self.share_coordinator = ShareCoordinatorService(
            self.config,
            self.clock,
            self.replicas,
            partitions=lambda: self._partitions_of(SHARE_GROUP_STATE_TOPIC),
            image=lambda: self.image,
        )
        self.persister = StatePersister(self.share_coordinator, InternalTopic(SHARE_GROUP_STATE_TOPIC, self))
        self.share_partitions = SharePartitionManager(
            replicas=self.replicas,
            persister=self.persister,
            clock=self.clock,
            limits=GroupLimits(lambda: self.config, lambda: self.image),
            sessions=ShareSessionCache(self.config.group_share_max_share_sessions),
        )
        self.add_broker(NODE_ID)
        self._publisher.subscribe(self.replicas)
        self._publisher.subscribe(Elections(OFFSETS_TOPIC, self.groups, NODE_ID))
        self._publisher.subscribe(Elections(TRANSACTION_STATE_TOPIC, self.transactions, NODE_ID))
        self._publisher.subscribe(Elections(SHARE_GROUP_STATE_TOPIC, self.share_coordinator, NODE_ID))
        self._publisher.subscribe(self.share_partitions)

    def release_share_sessions(self, connection: object) -> None:
        self.share_partitions.disconnected(connection)

    def _new_controller(self) -> Controller:
        folder = self.logs.directories[0].path
        return Controller(
            node_id=NODE_ID,
            cluster_id=self.cluster_id,
            config=self.config,
            clock=self.clock,
            log=open_metadata_log(folder, files=self.logs.files, clock=self.clock, config=self.config),
            publisher=self._publisher,
            directory_id=self.logs.directories[0].id,
            rng=random.Random(1),
        )

    @property
    def image(self) -> MetadataImage:
        return self._publisher.image

    def _partitions_of(self, name: str) -> int | None:
        topic = self.image.topics.get(name)
        return None if topic is None else len(topic.partitions)

    def endpoint_for(self, ctx: RequestContext, node_id: int) -> tuple[str, int]:
        return f"broker-{node_id}", 9092

    # Other brokers, which exist in the metadata alone

    def add_broker(
        self,
        node_id: int,
        *,
        rack: str | None = None,
        listeners: Sequence[str] = ("PLAINTEXT",),
        directories: Sequence[Uuid] | None = None,
        fenced: bool = False,
    ) -> None:
        lifecycle = self._lifecycles[node_id] = LifecycleLoop(
            link=self.controller,
            config=self.config,
            image=lambda: self.image,
            node_id=node_id,
            cluster_id=self.cluster_id,
            incarnation_id=Uuid.random(),
            directory_ids=self._directories(node_id, directories),
            endpoints=[Endpoint(name, "PLAINTEXT", f"broker-{node_id}", 9092) for name in listeners],
            rack=rack,
        )
        trio.run(lifecycle.register)
        if not fenced:
            trio.run(lifecycle.unfence)

    def _directories(self, node_id: int, directories: Sequence[Uuid] | None) -> Sequence[Uuid]:
        if directories is not None:
            return directories
        return self.logs.directory_ids if node_id == NODE_ID else [Uuid.random()]

    def heartbeat(self, node_id: int, **fields: object) -> None:
        """One heartbeat of a broker that wants what `fields` say: want_fence, want_shut_down, offline_log_dirs ..."""
        request = BrokerHeartbeatRequest(
            **{  # type: ignore[arg-type]
                "broker_id": node_id,
                "broker_epoch": self._lifecycles[node_id].broker_epoch,
                "current_metadata_offset": self.image.offset,
                **fields,
            }
        )
        trio.run(self.controller.call, ApiKey.BROKER_HEARTBEAT, request)

    def close(self) -> None:
        self._controller.close()
        self.logs.release()
