"""A node that is a controller and nothing else: process.roles=controller. Kafka: KafkaRaftServer, ControllerServer."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import trio

from pykbroker.clock import Clock, SystemClock
from pykbroker.controller_server import WILDCARDS, ControllerServer
from pykbroker.log.log_manager import LogManager
from pykbroker.shared_server import CANNOT_START, SharedServer, StartError

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

# Seconds that requests under way have to be answered when the node stops.
PATIENCE = 1.0


class ControllerNode:
    """As Broker: run() once; stop() from another task of the same loop."""

    def __init__(self, config: "BrokerConfig", clock: Clock | None = None) -> None:
        self.is_serving = False
        self._stop = trio.Event()
        clock = clock or SystemClock()
        self._shared = SharedServer(config, clock, LogManager(config.log_dirs or config.log_dir, clock=clock))
        self.server = ControllerServer(self._shared)

    @property
    def cluster_id(self) -> str:
        return self._shared.cluster_id

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """Lets run() end in order."""
        self._stop.set()

    abandon = stop

    async def run(self, on_ready: Callable[[str, int], None]) -> None:
        """Serves until stop(). Raises StartError; any other exception is a failure of ours."""
        with ExitStack() as opened:
            try:
                self._shared.open_directories(opened)
                self.server.open(opened)
            except CANNOT_START as error:
                raise StartError(str(error)) from error
            async with trio.open_nursery() as system:
                await self.server.start(system)
                self.is_serving = True
                on_ready(*self._first_address())
                await self._stop.wait()
                await self.server.stop_serving(PATIENCE)
                system.cancel_scope.cancel()
            self.server.close()

    def _first_address(self) -> tuple[str, int]:
        """For people on this machine."""
        endpoint = self.server.bound[0].endpoint
        return endpoint.host if endpoint.host not in WILDCARDS else "localhost", endpoint.port
