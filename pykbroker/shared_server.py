"""What the roles of one node share: its directories, its cluster id, the newest metadata image. Kafka: SharedServer."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from pykbroker.clock import Clock
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.log.checkpoints import CorruptCheckpoint
from pykbroker.log.log_dir import LogDirError
from pykbroker.log.log_manager import LogDirectory, LogManager
from pykbroker.log.partition_metadata import CorruptPartitionMetadata
from pykbroker.metadata.delta import ReplayError
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.network.listener import BindError
from pykbroker.raft.quorum_state import QuorumStateError
from pykbroker.raft.single_voter import NotTheOnlyVoter

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.request import Connect, ControllerLink

# What a port, a directory or the metadata in it may be the reason of; each says so in one line.
CANNOT_START = (
    BindError,
    LogDirError,
    NotTheOnlyVoter,
    QuorumStateError,
    ReplayError,
    CorruptCheckpoint,
    CorruptPartitionMetadata,
    KafkaError,
    MalformedFrame,
    OSError,
)


class StartError(Exception):
    """The node cannot start as asked; the text is one clear line for its user."""


class BrokerFailure(Exception):
    """The node had to stop itself; the text is one clear line for its user."""


def _fail(reason: str) -> None:
    raise BrokerFailure(reason)


class MetadataSource(Protocol):
    """Where a broker hears of the cluster, and whom it asks: the controller in this process, or one elsewhere."""

    def open(self, opened: ExitStack) -> None:
        """Ports and files; what is to be closed again, whatever comes, joins `opened`. Raises CANNOT_START."""

    async def start(self, system: "trio.Nursery") -> None:
        """Returns once SharedServer.image holds what the cluster knows; its tasks live in `system`.

        Raises CANNOT_START.
        """

    @property
    def link(self) -> "ControllerLink": ...

    def close(self) -> None:
        """In order, when the tasks have ended."""


class SharedServer:
    """`logs`: the data directories of a broker, opened here and loaded by the broker; of a controller: its only one."""

    def __init__(
        self, config: "BrokerConfig", clock: Clock, logs: LogManager, connect: "Connect | None" = None
    ) -> None:
        self.config = config
        self.clock = clock
        self.logs = logs
        self.node_id = config.node_id
        self.cluster_id = ""
        # Called with one clear line when the node has to stop itself.
        self.fail: Callable[[str], None] = _fail
        self._connect = connect
        self._told_cluster_id = ""
        self.publisher = MetadataPublisher("")
        self.metadata_directory: LogDirectory

    @property
    def image(self) -> "MetadataImage":
        return self.publisher.image

    @property
    def connect(self) -> "Connect":
        """How other nodes are reached."""
        if self._connect is None:
            from pykbroker.network.node_channel import connect

            self._connect = connect
        return self._connect

    async def learn_cluster_id(self) -> None:
        """From the controllers, for fresh directories of a broker without its own. Raises CANNOT_START."""
        if "controller" in self.config.process_roles or self.logs.known_cluster_id() is not None:
            return
        from pykbroker.config.quorum import bootstrap_controllers, quorum_voters
        from pykbroker.controller_link.cluster_id_loop import cluster_id_of

        controllers = [*bootstrap_controllers(self.config), *quorum_voters(self.config).values()]
        timeout = self.config.initial_broker_registration_timeout_ms / 1000
        self._told_cluster_id = await cluster_id_of(controllers, self.connect, str(self.node_id), timeout)

    def open_directories(self, opened: ExitStack) -> None:
        """All of one cluster and locked; that of the metadata log may be none of log.dirs. Raises CANNOT_START."""
        managers = [self.logs]
        folder = self.config.metadata_log_dir
        if folder is not None and folder not in (self.config.log_dirs or self.config.log_dir):
            managers.append(LogManager([folder], clock=self.clock))
        known = [found for manager in managers if (found := manager.known_cluster_id()) is not None]
        self.cluster_id = known[0] if known else self._told_cluster_id or str(Uuid.random())
        for manager in managers:
            opened.callback(manager.release)
            manager.open(node_id=self.node_id, cluster_id=self.cluster_id, new_cluster_id=lambda: self.cluster_id)
        directories = managers[-1].directories
        self.metadata_directory = next((one for one in directories if one.path == folder), directories[0])
        self.publisher = MetadataPublisher(self.cluster_id)


def metadata_source(shared: SharedServer) -> MetadataSource:
    """As process.roles says."""
    if "controller" not in shared.config.process_roles:
        from pykbroker.observer_server import ObserverServer

        return ObserverServer(shared)
    from pykbroker.controller_server import ControllerServer

    return ControllerServer(shared)
