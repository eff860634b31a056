"""A node as this process: signals, exit code, the loop's clock. Kafka: kafka.Kafka, KafkaRaftServer."""

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from pykbroker.shared_server import BrokerFailure, StartError

if TYPE_CHECKING:
    from pykbroker.broker import Broker
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.controller_node import ControllerNode

LOG = logging.getLogger("pykbroker.broker")
STOPPED, BROKEN = 0, 1
# Seconds once standard input has ended: until the controller is asked no more, and then until all must be closed.
FAREWELL_PATIENCE, STDIN_PATIENCE = 1.0, 10.0
# Allocations between two looks of the garbage collector.
GC_THRESHOLD = 50_000


class LoopClock(trio.abc.Clock):
    """Trio's time is the broker's time, so that deadlines need no conversion; readable from any thread."""

    def start_clock(self) -> None:
        return

    def current_time(self) -> float:
        return time.monotonic()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return deadline - time.monotonic()


def run(
    config: "BrokerConfig",
    *,
    ephemeral: bool = False,
    cluster_id: str | None = None,
    stop_with_stdin: bool = False,
    on_ready: Callable[[str, int], None],
) -> int:
    """Runs a broker until SIGTERM or Ctrl-C; the exit code. `on_ready(host, port)`: it serves.

    `cluster_id`: what fresh directories get and others must have. `stop_with_stdin`: the end of standard input, which
    belongs to whoever started this process, ends it too. Raises StartError.
    """
    with _storage(config, ephemeral) as stored:
        if cluster_id is not None:
            format_fresh_for(stored, cluster_id)
        try:
            failure = trio.run(_run_until_signal, stored, on_ready, stop_with_stdin, clock=LoopClock())
        except Exception as error:
            LOG.critical("The broker stops because of an error", exc_info=error)
            return BROKEN
    if isinstance(failure, StartError):
        raise failure
    if failure is not None:
        LOG.critical("The broker stops: %s", failure)
        return BROKEN
    return STOPPED


def format_fresh_for(config: "BrokerConfig", cluster_id: str) -> None:
    """Directories of another cluster are refused. Raises StartError."""
    from pykbroker.cli.storage import format_fresh
    from pykbroker.config.errors import ConfigError
    from pykbroker.log.log_dir import LogDirError

    try:
        format_fresh(config, cluster_id)
    except (ConfigError, LogDirError, OSError) as error:
        raise StartError(f"CLUSTER_ID={cluster_id}: {error}") from error


@contextmanager
def _storage(config: "BrokerConfig", ephemeral: bool) -> "Iterator[BrokerConfig]":
    """The config with the directories that hold for this run."""
    if not ephemeral:
        yield config
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pykbroker-") as folder:
        yield config.with_overrides({"log.dirs": folder, "metadata.log.dir": folder})


async def _run_until_signal(
    config: "BrokerConfig", on_ready: Callable[[str, int], None], stop_with_stdin: bool
) -> Exception | None:
    failure: Exception | None = None
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            node = _node(config)
            nursery.start_soon(_watch_signals, signals, node, nursery.cancel_scope, name="signals")
            if stop_with_stdin:
                nursery.start_soon(_watch_stdin, node, nursery.cancel_scope, name="standard input")
            try:
                await node.run(lambda host, port: _ready(on_ready, host, port))
            except (StartError, BrokerFailure) as error:
                failure = error
            nursery.cancel_scope.cancel()
    return failure


def _node(config: "BrokerConfig") -> "Broker | ControllerNode":
    """As process.roles says."""
    if "broker" in config.process_roles:
        from pykbroker.broker import Broker

        return Broker(config)
    from pykbroker.controller_node import ControllerNode

    return ControllerNode(config)


def _ready(on_ready: Callable[[str, int], None], host: str, port: int) -> None:
    spare_the_garbage_collector()
    on_ready(host, port)


async def _watch_signals(
    signals: AsyncIterator[int], node: "Broker | ControllerNode", everything: trio.CancelScope
) -> None:
    async for number in signals:
        if node.is_stopping or not node.is_serving:
            LOG.warning("%s: stopping at once; the next start recovers the logs", signal.Signals(number).name)
            everything.cancel()
            return
        LOG.info("%s: stopping in order; a second signal stops at once", signal.Signals(number).name)
        node.stop()


async def _watch_stdin(node: "Broker | ControllerNode", everything: trio.CancelScope) -> None:
    """Whoever has started this process has gone, and with it perhaps the controller: in order, but soon."""
    stdin = sys.stdin.fileno()
    while True:
        await trio.lowlevel.wait_readable(stdin)
        if not os.read(stdin, 4096):
            break
    LOG.warning("standard input has ended: stopping")
    node.stop()
    await trio.sleep(FAREWELL_PATIENCE)
    node.abandon()
    await trio.sleep(STDIN_PATIENCE)
    everything.cancel()


def spare_the_garbage_collector() -> None:
    """What the start made lives for ever, and requests leave no cycles behind: look seldom, and not at the former."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 20)
