"""The controller of this process: its metadata log, its decisions, its listener. Kafka: ControllerServer."""

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import trio

from pykbroker.config.listeners import advertised_controllers, controller_listeners
from pykbroker.controller.controller import Controller
from pykbroker.controller.controller_loop import ControllerLoop
from pykbroker.controller_link.local import LocalControllerLink
from pykbroker.ids import Endpoint
from pykbroker.metadata.features import INITIAL_FEATURES
from pykbroker.network.socket_server import BoundListener
from pykbroker.raft.formatting import write_bootstrap
from pykbroker.raft.opening import is_fresh, open_metadata_log

if TYPE_CHECKING:
    from pykbroker.dispatch import Session
    from pykbroker.log.log_manager import LogDirectory
    from pykbroker.network.listener import Address
    from pykbroker.network.socket_server import SocketServer
    from pykbroker.shared_server import SharedServer

WILDCARDS = ("", "0.0.0.0", "::")


class ControllerServer:
    """Implements shared_server.MetadataSource for a node that is its own controller.

    Other nodes join by a listener that controller.listener.names names; without one there are none, and nothing of
    what they would need is loaded.
    """

    def __init__(self, shared: "SharedServer") -> None:
        self._shared = shared
        self._advertised = advertised_controllers(shared.config)
        self._server: SocketServer | None = None
        self._stopped = trio.Event()
        self.bound: list[BoundListener] = []
        self.controller: Controller
        self.link: LocalControllerLink

    def open(self, opened: ExitStack) -> None:
        """Takes the ports, loads the metadata log, leads a new epoch; the image is complete. Raises CANNOT_START."""
        shared = self._shared
        for endpoint in controller_listeners(shared.config):
            self.bound.append(BoundListener(endpoint, shared.config.socket_listen_backlog_size))
            opened.callback(self.bound[-1].close)
            self.bound[-1].warn_of_exposure()
        directory = shared.metadata_directory
        self._format_dynamic(directory)
        log = open_metadata_log(directory.path, files=shared.logs.files, clock=shared.clock, config=shared.config)
        opened.callback(log.close)
        self.controller = Controller(
            node_id=shared.node_id,
            cluster_id=shared.cluster_id,
            config=shared.config,
            clock=shared.clock,
            log=log,
            publisher=shared.publisher,
            directory_id=directory.id,
            endpoints=[self._registered(bound.endpoint) for bound in self.bound],
            advertised=self._advertised,
        )
        self.controller.start()
        self.link = LocalControllerLink(self.controller, shared.node_id)

    def _format_dynamic(self, directory: "LogDirectory") -> None:
        """A fresh controller that is found by bootstrap servers is the first voter of a dynamic quorum (KIP-853), as
        after kafka-storage format --standalone."""
        config = self._shared.config
        is_dynamic = config.controller_quorum_bootstrap_servers and not config.controller_quorum_voters
        if not (is_dynamic and self.bound and is_fresh(directory.path)):
            return
        from pykbroker.raft.dynamic_voters import DynamicVoter
        from pykbroker.raft.formatting import write_first_voters

        endpoint = self._registered(self.bound[0].endpoint)
        voter = DynamicVoter(self._shared.node_id, endpoint.host, endpoint.port, directory.id)
        now_ms, files = self._shared.clock.wall_ms(), self._shared.logs.files
        write_bootstrap(directory.path, INITIAL_FEATURES, now_ms, files)
        write_first_voters(directory.path, [voter], endpoint.listener, now_ms, files)

    def _registered(self, endpoint: Endpoint) -> Endpoint:
        """What the metadata say of a listener."""
        host, port = self._advertised.get(endpoint.listener, (endpoint.host, endpoint.port))
        return endpoint._replace(host=socket.gethostname() if host in WILDCARDS else host, port=port or endpoint.port)

    async def start(self, system: trio.Nursery) -> None:
        await system.start(ControllerLoop(self.controller).run, name="controller")
        if self.bound:
            await self._serve(system)

    async def _serve(self, system: trio.Nursery) -> None:
        from pykbroker.controller_apis import ControllerDispatcher
        from pykbroker.network.socket_server import SocketServer

        shared = self._shared
        dispatcher = ControllerDispatcher(self.controller, unstable=shared.config.unstable_api_versions_enable)
        self.controller.dispatcher = dispatcher

        def open_session(listener: str, protocol: str, address: "Address") -> "Session":
            client, local = (address.client_host, address.client_port), (address.local_host, address.local_port)
            return dispatcher.open_session(listener, protocol, client, local)

        self._server = SocketServer(self.bound, shared.config, shared.clock, open_session)
        await system.start(self._run_server, name="socket server of the controller")

    async def _run_server(self, task_status: trio.TaskStatus[None]) -> None:
        assert self._server is not None
        await self._server.run(task_status)
        self._stopped.set()

    async def stop_serving(self, patience: float) -> None:
        """Requests under way have so many seconds to be answered."""
        self.controller.leader_state.close()
        if self._server is not None:
            self._server.stop(patience)
            await self._stopped.wait()

    def close(self) -> None:
        self.controller.close()
