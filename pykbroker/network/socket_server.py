"""All listeners of a broker and the connections on them. Kafka: SocketServer."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import trio

from pykbroker.network.connection import Connection, Session, SharedState
from pykbroker.network.connection_limits import ConnectionLimits, parse_overrides
from pykbroker.network.listener import Address, Listener, bind, is_loopback
from pykbroker.network.memory_budget import DEFAULT_LIMIT, MemoryBudget
from pykbroker.network.ready_poller import make_poller
from pykbroker.network.sweep import Sweep
from pykbroker.observability.slow import SlowReports

if TYPE_CHECKING:
    import socket

    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.ids import Endpoint

LOG = logging.getLogger("pykbroker.network")

OpenSession = Callable[[str, str, Address], Session]


class BoundListener:
    """A listener that has its port, before anybody is accepted. Raises BindError."""

    __slots__ = ("endpoint", "sockets")

    def __init__(self, endpoint: "Endpoint", backlog: int) -> None:
        self.sockets: list[socket.socket] = bind(endpoint.host, endpoint.port, backlog)
        self.endpoint = endpoint._replace(port=self.sockets[0].getsockname()[1])

    @property
    def is_exposed(self) -> bool:
        """Whether other machines may reach it."""
        return any(not is_loopback(one.getsockname()[0]) for one in self.sockets)

    def warn_of_exposure(self) -> None:
        if self.is_exposed:
            LOG.warning(
                "Listener %s (port %d) is open to other machines without authentication or encryption: "
                "who reaches it may read, change and delete everything",
                self.endpoint.listener,
                self.endpoint.port,
            )

    def close(self) -> None:
        for one in self.sockets:
            one.close()


class SocketServer:
    """`open_session(listener, security protocol, address)` makes what dispatch keeps per connection."""

    def __init__(
        self, bound: Sequence[BoundListener], config: "BrokerConfig", clock: "Clock", open_session: OpenSession
    ) -> None:
        limit = config.queued_max_request_bytes
        budget = MemoryBudget(limit if limit > 0 else DEFAULT_LIMIT)
        self.shared = SharedState(clock, budget, config.socket_request_max_bytes, SlowReports(clock.monotonic))
        self.connections: set[Connection] = set()
        self._limits = ConnectionLimits(*_limits(config))
        self._listeners = [self._listener(one, open_session) for one in bound]
        idle = config.connections_max_idle_ms
        self._sweep = Sweep(self.connections, self.shared, idle / 1000 if idle >= 0 else None)
        self._scope = trio.CancelScope()
        self._sweeping = trio.CancelScope()

    def update(self, config: "BrokerConfig") -> None:
        """The limits of connections changed."""
        self._limits.change(*_limits(config))

    def _listener(self, bound: BoundListener, open_session: OpenSession) -> Listener:
        protocol = bound.endpoint.security_protocol
        return Listener(
            bound.endpoint.listener,
            bound.sockets,
            self.shared,
            self._limits,
            self.connections,
            lambda name, address: open_session(name, protocol, address),
        )

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serves until the connections have ended after stop(), or until cancelled."""
        poller = self.shared.poller = make_poller()
        try:
            async with trio.open_nursery() as outer:
                if poller is not None:
                    outer.start_soon(poller.run, name="poller of connections")
                with self._scope:
                    await self._run_listeners(task_status)
                outer.cancel_scope.cancel()
        finally:
            if poller is not None:
                poller.close()

    async def _run_listeners(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            for listener in self._listeners:
                nursery.start_soon(listener.run, nursery, name=f"listener {listener.name}")
            nursery.start_soon(self._run_sweep, name="sweep of connections")
            task_status.started()

    async def _run_sweep(self) -> None:
        with self._sweeping:
            await self._sweep.run()

    def stop(self, patience: float) -> None:
        """No further connections and requests; the requests under way have `patience` seconds to be answered."""
        for listener in self._listeners:
            listener.close()
        for connection in list(self.connections):
            connection.drain()
        self._sweeping.cancel()
        self._scope.deadline = trio.current_time() + patience


def _limits(config: "BrokerConfig") -> tuple[int, int, dict[str, int], int]:
    return (
        config.max_connections,
        config.max_connections_per_ip,
        parse_overrides(config.max_connections_per_ip_overrides),
        config.max_connection_creation_rate,
    )
