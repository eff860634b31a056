"""The controller of this process: its metadata log, its decisions, its listener. Kafka: ControllerServer."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pykbroker.controller.controller import Controller
from pykbroker.controller.controller_loop import ControllerLoop
from pykbroker.controller_link.local import LocalControllerLink
from pykbroker.raft.opening import open_metadata_log

if TYPE_CHECKING:
    import trio

    from pykbroker.shared_server import SharedServer


class ControllerServer:
    """Implements shared_server.MetadataSource for a node that is its own controller."""

    def __init__(self, shared: "SharedServer") -> None:
        self._shared = shared
        self.controller: Controller
        self.link: LocalControllerLink

    def open(self, opened: ExitStack) -> None:
        """Loads the metadata log, leads a new epoch; the image is complete. Raises CANNOT_START."""
        shared = self._shared
        directory = shared.metadata_directory
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
        )
        self.controller.start()
        self.link = LocalControllerLink(self.controller, shared.node_id)

    async def start(self, system: "trio.Nursery") -> None:
        await system.start(ControllerLoop(self.controller).run, name="controller")

    def close(self) -> None:
        self.controller.close()
