"""A cluster on this machine: `pykbroker serve --brokers N`, until SIGTERM or Ctrl-C."""

import logging
import os
import shlex
import socket
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from pykbroker import __version__
from pykbroker.cli.cluster import default_cluster_directory
from pykbroker.cli.main import main
from pykbroker.cli.run_broker import BROKEN, LoopClock, format_fresh_for, spare_the_garbage_collector
from pykbroker.config.environment import cluster_id
from pykbroker.config.errors import ConfigError
from pykbroker.config.parse import load
from pykbroker.console import spawner
from pykbroker.console.console_loop import Console
from pykbroker.console.settings import MAX_BROKERS, Plan
from pykbroker.shared_server import StartError

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

LOG = logging.getLogger("pykbroker.console")


def run(options: Namespace, default_port: int) -> int:
    """The exit code. Raises ConfigError, StartError."""
    with _directory(options) as directory:
        plan = Plan(
            directory,
            options.brokers,
            options.host or "localhost",
            default_port if options.port is None else options.port,
            options.config,
            tuple(options.settings),
            options.log_level,
            options.log_format,
        )
        _check(plan)
        return _run(plan, options.data_dir is None and not options.ephemeral)


@contextmanager
def _directory(options: Namespace) -> Iterator[str]:
    if not options.ephemeral:
        yield os.path.abspath(options.data_dir or default_cluster_directory())
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pykbroker-") as folder:
        yield folder


def _check(plan: Plan) -> None:
    """Raises ConfigError, StartError."""
    if not 1 <= plan.brokers <= MAX_BROKERS:
        raise ConfigError(f"--brokers {plan.brokers}: must be from 1 to {MAX_BROKERS}")
    if plan.port and plan.port + plan.brokers - 1 > 65535:
        raise ConfigError(f"--port {plan.port}: there are not {plan.brokers} ports from there on")
    own = plan.own_setting()
    if own is not None:
        raise ConfigError(
            f"--set {own}: with --brokers this is decided for each node; choose by --host, --port and --data-dir"
        )
    more = plan.folder(f"broker-{plan.brokers + 1}")
    if os.path.exists(more):
        raise StartError(
            f"{more} belongs to a broker that --brokers {plan.brokers} leaves out: its copies would be missing; "
            "name as many brokers as before, and stop one by pykbroker cluster stop"
        )


def _run(plan: Plan, is_default: bool) -> int:
    """Raises ConfigError, StartError."""
    config = load(plan.config, os.environ, plan.controller())
    wanted = cluster_id(os.environ)
    if wanted is not None:
        format_fresh_for(config, wanted)
    command = "pykbroker cluster" if is_default else f"pykbroker cluster --data-dir {shlex.quote(plan.directory)}"
    chosen = set(load(plan.config, os.environ, plan.settings).texts)
    try:
        with spawner.start(main) as channel:
            return trio.run(_run_console, plan, config, chosen, channel, command, clock=LoopClock())
    except StartError:
        raise
    except Exception as error:
        LOG.critical("The console stops because of an error", exc_info=error)
        return BROKEN


async def _run_console(
    plan: Plan, config: "BrokerConfig", chosen: set[str], channel: socket.socket, command: str
) -> int:
    console = Console(plan, config, chosen, channel, lambda addresses: _announce(addresses, plan, command), command)
    return await console.run()


def _announce(addresses: Sequence[str], plan: Plan, command: str) -> None:
    spare_the_garbage_collector()
    joined = ",".join(addresses)
    print(f"pykbroker ready: {joined}", flush=True)
    LOG.info("Data in %s; `%s status` tells more", plan.directory, command)
    if sys.stderr.isatty():
        print(
            f"  {plan.brokers} Kafka 4.3 compatible brokers, pykbroker {__version__}\n"
            f"  bootstrap.servers={joined}\n"
            "  Ctrl-C stops them",
            file=sys.stderr,
        )
