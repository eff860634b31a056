"""One broker in this process: builds the managers, owns the nursery tree, starts and stops in order.

system nursery   the embedded controller or an observer of it, housekeeping of the logs ends last
  data nursery   the coordinators, heartbeats
    SocketServer listeners and connections                                              ends first
Kafka: BrokerServer.
"""

import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import trio

from pykbroker.clock import Clock, SystemClock
from pykbroker.config.dynamic import DynamicBrokerConfig
from pykbroker.config.listeners import inter_broker_listener
from pykbroker.config.validate import advertised_listeners, client_listeners
from pykbroker.controller_link.auto_topic_creation import AutoTopicCreation, InternalTopic
from pykbroker.controller_link.lifecycle_loop import LifecycleLoop
from pykbroker.controller_link.streams_topics_loop import StreamsTopicCreation
from pykbroker.coordinator.elections import Elections
from pykbroker.coordinator.group.service import OFFSETS_TOPIC, GroupCoordinatorService
from pykbroker.coordinator.transaction.marker_writer import MarkerWriter
from pykbroker.coordinator.transaction.service import Elsewhere, TransactionCoordinatorService
from pykbroker.dispatch import Dispatcher, Session
from pykbroker.errors import KafkaError
from pykbroker.ids import DIRECTORY_UNASSIGNED, Endpoint, TopicPartition, Uuid
from pykbroker.log.cleaner_loop import CleanerLoop
from pykbroker.log.housekeeping_loop import Housekeeping
from pykbroker.log.log_dir import LogDirError
from pykbroker.log.log_manager import LogManager
from pykbroker.metadata.features import TRANSACTION_VERSION
from pykbroker.metadata.publisher_loop import PublisherLoop
from pykbroker.metadata.topic_names import SHARE_GROUP_STATE_TOPIC, TRANSACTION_STATE_TOPIC
from pykbroker.network.listener import Address
from pykbroker.network.socket_server import BoundListener, SocketServer
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.directory_loop import DirectoryLoop
from pykbroker.replica.fetch_session import FetchSessionCache
from pykbroker.replica.producer_ids import ProducerIdManager
from pykbroker.replica.replica_manager import ReplicaManager
from pykbroker.replica.replication_quota import ReplicationQuota
from pykbroker.shared_server import CANNOT_START, MetadataSource, SharedServer, metadata_source
from pykbroker.shared_server import BrokerFailure as BrokerFailure
from pykbroker.shared_server import StartError as StartError

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.coordinator.group.share_service import ShareGroupService
    from pykbroker.coordinator.other_brokers_loop import OtherBrokers
    from pykbroker.coordinator.share.service import ShareCoordinatorService
    from pykbroker.metadata.delta import MetadataDelta
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.replica.replication import Replication, ReplicationSettings
    from pykbroker.request import Connect, ControllerLink, RequestContext
    from pykbroker.share.share_partition_manager import SharePartitionManager
    from pykbroker.share.share_services_loop import ShareServices

LOG = logging.getLogger("pykbroker.broker")
WILDCARDS = ("", "0.0.0.0", "::")
# Seconds that requests under way have to be answered when the broker stops.
PATIENCE = 5.0
MOVE_RATE = "replica.alter.log.dirs.io.max.bytes.per.second"


class Broker:
    """Implements request.Services. run() once; stop() from another task of the same loop."""

    def __init__(self, config: "BrokerConfig", clock: Clock | None = None, connect: "Connect | None" = None) -> None:
        """`connect`: how other nodes are reached, by default over TCP."""
        self.clock: Clock = clock or SystemClock()
        self.node_id = config.node_id
        self.is_serving = False
        self._static = config
        self._stop = trio.Event()
        self._farewell = trio.CancelScope()
        self._failure: str | None = None
        self._starting = trio.CancelScope()
        self._lifecycle: LifecycleLoop | None = None
        self._bound: list[BoundListener] = []
        self._advertised = advertised_listeners(config)
        self.logs = LogManager(
            config.log_dirs or config.log_dir,
            clock=self.clock,
            producer_id_expiration_ms=config.producer_id_expiration_ms,
        )
        self._shared = SharedServer(config, self.clock, self.logs, connect)
        self._shared.fail = self._fail
        self._source: MetadataSource
        self.dynamic_config = DynamicBrokerConfig(config, self.node_id)
        self.replicas = ReplicaManager(
            node_id=self.node_id, logs=self.logs, clock=self.clock, config_for=self.dynamic_config.log_config
        )
        self.replicas.replication_settings = self._replication_settings
        self.replicas.on_replication = self._start_replication
        self.logs.on_directory_failure = self._on_directory_failure
        self.cleaner = CleanerLoop(self.logs, lambda: self.config)
        self.move_quota = ReplicationQuota(
            self.dynamic_config.broker_quota(MOVE_RATE),
            windows=config.alter_log_dirs_replication_quota_window_num,
            window_seconds=config.alter_log_dirs_replication_quota_window_size_seconds,
        )
        self.fetch_sessions = FetchSessionCache(config.max_incremental_fetch_session_cache_slots, self.clock)
        self.groups = GroupCoordinatorService(
            config,
            self.clock,
            self.replicas,
            lambda: self._partitions_of(OFFSETS_TOPIC),
            image=lambda: self.image,
            current=lambda: self.config,
        )
        self.transactions = TransactionCoordinatorService(
            config,
            self.clock,
            self.replicas,
            MarkerWriter(self.replicas, self.groups),
            producer_ids=lambda: self.producer_ids,
            partitions=lambda: self._partitions_of(TRANSACTION_STATE_TOPIC),
            transaction_version=lambda: self.image.features.finalized.get(TRANSACTION_VERSION, 0),
            elsewhere=Elsewhere(self.node_id, self._leader_of, self._other_brokers),
        )
        self._shares: ShareServices | None = None
        self._others: OtherBrokers | None = None
        self._data: trio.Nursery
        self.producer_ids: ProducerIdManager
        self.topic_creation: AutoTopicCreation
        self._publishing: PublisherLoop
        self.streams_topics: StreamsTopicCreation

    # What handlers see (request.Services)

    @property
    def config(self) -> "BrokerConfig":
        return self.dynamic_config.current

    @property
    def image(self) -> "MetadataImage":
        return self._shared.publisher.image

    @property
    def cluster_id(self) -> str:
        return self._shared.cluster_id

    @property
    def controller(self) -> "ControllerLink":
        return self._source.link

    @property
    def connect(self) -> "Connect":
        return self._shared.connect

    def endpoint_for(self, ctx: "RequestContext", node_id: int) -> tuple[str, int]:
        if node_id == self.node_id:
            advertised = None if self._advertised is None else self._advertised.get(ctx.listener_name)
            return advertised or (ctx.local_host, ctx.local_port)
        broker = self.image.brokers.get(node_id)
        endpoint = None if broker is None else broker.endpoint(ctx.listener_name)
        if endpoint is None:
            raise KafkaError(
                ErrorCode.BROKER_NOT_AVAILABLE, f"Broker {node_id} is not reachable by listener {ctx.listener_name}"
            )
        return endpoint.host, endpoint.port

    def _partitions_of(self, name: str) -> int | None:
        topic = self.image.topics.get(name)
        return None if topic is None else len(topic.partitions)

    # Share groups

    @property
    def _share_services(self) -> "ShareServices":
        """Made and started when first used: most brokers have no share groups, and start faster without."""
        if self._shares is None:
            from pykbroker.share.share_services_loop import ShareServices

            self._shares = ShareServices(self, InternalTopic(SHARE_GROUP_STATE_TOPIC, self), self._other_brokers)
            self._shares.follow(self._shared.publisher)
            self._data.start_soon(self._shares.run, name="share groups")
        return self._shares

    @property
    def share_groups(self) -> "ShareGroupService":
        return self._share_services.groups

    @property
    def share_coordinator(self) -> "ShareCoordinatorService":
        return self._share_services.coordinator

    @property
    def share_partitions(self) -> "SharePartitionManager":
        return self._share_services.partitions

    def release_share_sessions(self, connection: object) -> None:
        if self._shares is not None:
            self._shares.partitions.disconnected(connection)

    def on_metadata_update(self, delta: "MetadataDelta", image: "MetadataImage") -> None:
        """A replica of the share groups' state topic is led or followed: its coordinator must stand by."""
        if self._shares is None and SHARE_GROUP_STATE_TOPIC in image.topics:
            _ = self._share_services

    # Other brokers

    def _leader_of(self, tp: TopicPartition) -> int | None:
        partition = self.image.topics.partition(*tp)
        return None if partition is None else partition.leader

    def _other_brokers(self) -> "OtherBrokers":
        """Made when first one must be asked."""
        if self._others is None:
            from pykbroker.coordinator.other_brokers_loop import OtherBrokers

            timeout = self._static.request_timeout_ms / 1000
            self._others = OtherBrokers(self.node_id, self._endpoint_of, self.connect, timeout, self._data)
            self._shared.publisher.subscribe(self._others)
        return self._others

    def _endpoint_of(self, broker_id: int) -> Endpoint | None:
        """How brokers reach it, unless it is fenced."""
        broker = self.image.brokers.get(broker_id)
        if broker is None or broker.fenced:
            return None
        return broker.endpoint(inter_broker_listener(self._static))

    def _replication_settings(self) -> "ReplicationSettings":
        from pykbroker.replica.replication import settings_of

        return settings_of(self.config, self.dynamic_config.broker_quota)

    def _start_replication(self, replication: "Replication") -> None:
        """When the first partition with other replicas comes: most brokers of one node never have any."""
        from pykbroker.replica.replication_loop import ReplicationLoop

        listener = inter_broker_listener(self._static)

        def where(broker_id: int) -> Endpoint | None:
            broker = self.image.brokers.get(broker_id)
            return None if broker is None else broker.endpoint(listener)

        loop = ReplicationLoop(self.replicas, replication, self.controller, where, self.connect)
        self._data.start_soon(loop.run, name="replication")

    def _assigned_directory(self, tp: TopicPartition) -> Uuid:
        partition = self.image.topics.partition(*tp)
        return DIRECTORY_UNASSIGNED if partition is None else partition.directory(self.node_id)

    # Start and stop

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """Lets run() end in order."""
        self._stop.set()

    def abandon(self) -> None:
        """As stop(), without the leave of the controller: it has gone, or there is no time."""
        self._stop.set()
        self._farewell.cancel()

    def _fail(self, reason: str) -> None:
        """Stops without asking the controller, who may not answer; run() raises."""
        self._failure = self._failure or reason
        self._starting.cancel()
        self._stop.set()

    def _on_directory_failure(self, path: str) -> None:
        self.replicas.on_directory_failure(path)
        if self._lifecycle is None or self.is_stopping:
            return  # loading or closing the logs, in a thread
        failed = [directory.id for directory in self.logs.directories if directory.path == path]
        if path == self._shared.metadata_directory.path:
            self._fail(f"the directory of the metadata log, {path}, has failed")
        elif not self.logs.directory_ids:
            self._fail(f"all log directories have failed, the last one was {path}")
        else:
            self._lifecycle.directory_failed(failed[0])

    async def run(self, on_ready: Callable[[str, int], None]) -> None:
        """Serves until stop(). Raises StartError, BrokerFailure; any other exception is a failure of ours."""
        with ExitStack() as opened:
            try:
                await self._shared.learn_cluster_id()
                self._open(opened)
            except CANNOT_START as error:
                raise StartError(str(error)) from error
            await self._run(on_ready)
        if self._failure is not None:
            raise BrokerFailure(self._failure)

    async def _load_logs(self) -> None:
        """In a thread, so that a signal can interrupt a long recovery; nobody else uses the logs yet.

        Raises LogDirError.
        """
        load = partial(self.logs.load, self.dynamic_config.log_config, self._assigned_directory)
        await trio.to_thread.run_sync(load, abandon_on_cancel=True)
        directory = self._shared.metadata_directory.path
        for each in self.logs.directories:
            if each.path == directory and not each.is_online:
                raise LogDirError(f"the directory of the metadata log, {directory}, cannot be used: see above")

    def _open(self, opened: ExitStack) -> None:
        """Ports, directories and the metadata log, in the order in which they may refuse."""
        for endpoint in client_listeners(self._static):
            self._bound.append(BoundListener(endpoint, self._static.socket_listen_backlog_size))
            opened.callback(self._bound[-1].close)
            self._correct_ephemeral_port(self._bound[-1].endpoint)
        self._warn_of_exposure()
        self._shared.open_directories(opened)
        self._shared.publisher.subscribe(self.dynamic_config)
        self._source = metadata_source(self._shared)
        self._source.open(opened)
        self.producer_ids = ProducerIdManager(self.controller)
        self._publishing = PublisherLoop(self._shared.publisher, self.clock)
        self.topic_creation = AutoTopicCreation(self.controller, self._static, self._publishing.settled)
        self.streams_topics = StreamsTopicCreation(self.controller, self.clock, self._static.request_timeout_ms)

    def _correct_ephemeral_port(self, bound: Endpoint) -> None:
        """An advertised port 0 is the one that the listener got (ListenerInfo.withEphemeralPortsCorrected)."""
        host, port = (self._advertised or {}).get(bound.listener, ("", -1))
        if self._advertised is not None and port == 0:
            self._advertised[bound.listener] = (host, bound.port)

    def _warn_of_exposure(self) -> None:
        for bound in self._bound:
            if bound.is_exposed:
                LOG.warning(
                    "Listener %s (port %d) is open to other machines without authentication or encryption: "
                    "who reaches it may read, change and delete everything",
                    bound.endpoint.listener,
                    bound.endpoint.port,
                )

    async def _run(self, on_ready: Callable[[str, int], None]) -> None:
        refusal: Exception | None = None
        async with trio.open_nursery() as system:
            try:
                await self._source.start(system)
                await self._load_logs()
                lifecycle = self._lifecycle = self._make_lifecycle()
                await lifecycle.register()
            except (StartError, *CANNOT_START) as error:
                refusal = error
            else:
                await self._run_broker(lifecycle, on_ready)
            system.cancel_scope.cancel()
        if refusal is not None:
            raise StartError(str(refusal)) from refusal
        self._source.close()

    async def _run_broker(self, lifecycle: LifecycleLoop, on_ready: Callable[[str, int], None]) -> None:
        """From its registration until its logs are closed."""
        async with trio.open_nursery() as data:
            self._data = data
            # It ends with the others: its checkpoints and those of the end, in a thread, must not meet.
            data.start_soon(Housekeeping(self.logs, self._static).run, name="housekeeping")
            data.start_soon(self.groups.runtime.run, name="group coordinator")
            data.start_soon(self.streams_topics.run, name="internal topics of streams groups")
            data.start_soon(self.transactions.runtime.run, name="transaction coordinator")
            data.start_soon(self.transactions.markers.run, name="transaction markers")
            await data.start(self._publishing.run, name="metadata publisher")
            with self._starting:
                await self._live(lifecycle.catch_up)
                await trio.lowlevel.checkpoint()  # who has failed becomes nothing any more
                self._follow_metadata()
                await self._publishing.settled()
                await self._live(lifecycle.unfence)
                await self._publishing.settled()  # a controller here has elected it already
            data.start_soon(self._live, lifecycle.run, name="lifecycle")
            data.start_soon(lifecycle.watch_failures, name="failed log directories")
            directories = DirectoryLoop(
                self.replicas.directories,
                self.controller,
                lambda: self.image,
                self.node_id,
                lambda: lifecycle.broker_epoch,
                self.move_quota,
            )
            data.start_soon(directories.run, name="log directories")
            if self._static.log_cleaner_enable:
                data.start_soon(self.cleaner.run, name="log cleaner")
            await self._serve(lifecycle, on_ready)
            data.cancel_scope.cancel()
        await trio.to_thread.run_sync(self.logs.shutdown, lifecycle.broker_epoch)

    async def _live(self, part: Callable[[], Awaitable[None]]) -> None:
        """A part of this broker's life; another that has taken its place ends it."""
        try:
            await part()
        except KafkaError as error:
            self._fail(str(error.message or error))

    async def _serve(self, lifecycle: LifecycleLoop, on_ready: Callable[[str, int], None]) -> None:
        """Until stop(), and until the requests under way are answered."""
        dispatcher = Dispatcher(self, unstable=self._static.unstable_api_versions_enable)

        def open_session(listener: str, protocol: str, address: Address) -> Session:
            client, local = (address.client_host, address.client_port), (address.local_host, address.local_port)
            return dispatcher.open_session(listener, protocol, client, local)

        server = SocketServer(self._bound, self.config, self.clock, open_session)
        self._apply_changes_to(server)
        async with trio.open_nursery() as clients:
            await clients.start(server.run, name="socket server")
            self.is_serving = True
            on_ready(*self._first_address())
            await self._stop.wait()
            if self.config.controlled_shutdown_enable and self._failure is None:
                self.replicas.begin_controlled_shutdown()
                with self._farewell:
                    await lifecycle.controlled_shutdown()
            self._shared.publisher.close()
            self.groups.runtime.close()
            if self._shares is not None:
                self._shares.partitions.close()
            self.replicas.shut_down()
            server.stop(PATIENCE)

    def _apply_changes_to(self, server: SocketServer) -> None:
        """Dynamic configs of the broker, as they change."""

        def apply() -> None:
            self.logs.update_producer_id_expiration(self.config.producer_id_expiration_ms)
            self.move_quota.rate = self.dynamic_config.broker_quota(MOVE_RATE)
            self.replicas.update_all_configs()
            self.replicas.reconfigure_replication()
            self.cleaner.reconfigure()
            server.update(self.config)

        self.dynamic_config.on_broker_change = apply
        self.logs.update_producer_id_expiration(self.config.producer_id_expiration_ms)
        self.move_quota.rate = self.dynamic_config.broker_quota(MOVE_RATE)
        self.cleaner.reconfigure()

    def _first_address(self) -> tuple[str, int]:
        """For people on this machine."""
        endpoint = self._bound[0].endpoint
        return endpoint.host if endpoint.host not in WILDCARDS else "localhost", endpoint.port

    def _follow_metadata(self) -> None:
        """In this order: a coordinator that is elected appends at once; what depends on configs comes last."""
        self._shared.publisher.subscribe(self.replicas)
        self._shared.publisher.subscribe(self.replicas.directories)
        self._shared.publisher.subscribe(Elections(OFFSETS_TOPIC, self.groups, self.node_id))
        self._shared.publisher.subscribe(Elections(TRANSACTION_STATE_TOPIC, self.transactions, self.node_id))
        self._shared.publisher.subscribe(self)

    def _make_lifecycle(self) -> LifecycleLoop:
        return LifecycleLoop(
            link=self.controller,
            config=self._static,
            image=lambda: self.image,
            node_id=self.node_id,
            cluster_id=self.cluster_id,
            incarnation_id=Uuid.random(),
            directory_ids=self.logs.directory_ids,
            endpoints=self._registered_endpoints(),
            rack=self._static.broker_rack,
            previous_epoch=self.logs.previous_broker_epoch(),
            offline_directory_ids=lambda: self.logs.offline_directory_ids,
            on_untold_failure=lambda: self._fail("a log directory has failed, and the controller could not be told"),
            applied_offset=lambda: self._shared.publisher.applied.offset,
        )

    def _registered_endpoints(self) -> list[Endpoint]:
        """What other nodes are told; clients hear of endpoint_for()."""
        advertised = self._advertised or {}
        endpoints = []
        for bound in self._bound:
            host, port = advertised.get(bound.endpoint.listener, (bound.endpoint.host, bound.endpoint.port))
            if host in WILDCARDS:
                host = socket.gethostname()
            endpoints.append(bound.endpoint._replace(host=host, port=port))
        return endpoints
