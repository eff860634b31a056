"""pykbroker serve: one broker in this process, until SIGTERM or Ctrl-C."""

import os
import stat
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from pykbroker import __version__

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

MISUSED = 2
DEFAULT_PORT = 9092

DESCRIPTION = """Runs a Kafka broker. Without options: localhost:9092, data in the user's data directory."""
EPILOG = """\
A fresh data directory is formatted for a new cluster, or for the one that the environment variable CLUSTER_ID names.
Settings have Kafka's names. The order in which they win: --set, options, environment (KAFKA_LOG_SEGMENT_BYTES=...),
--config file (a server.properties), Kafka's defaults. Where advertised.listeners is not set, each client is told the
address by which it reached the broker."""


class OneLineParser(ArgumentParser):
    """Tells a mistake in one line, as all else that keeps a broker from starting."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISUSED, f"pykbroker: {message} (pykbroker serve --help tells all options)\n")


def parser() -> ArgumentParser:
    result = OneLineParser(
        prog="pykbroker serve", description=DESCRIPTION, epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter
    )
    result.add_argument("--port", type=_port, help=f"port of the clients' listener, 0: a free one ({DEFAULT_PORT})")
    result.add_argument("--host", help="address to listen on, 0.0.0.0: all (localhost)")
    storage = result.add_mutually_exclusive_group()
    storage.add_argument("--data-dir", metavar="DIR", help=f"where the data lives ({_shown(default_data_directory())})")
    storage.add_argument("--ephemeral", action="store_true", help="a temporary directory, removed at the end")
    result.add_argument("--config", metavar="FILE", help="settings in a file, e.g. Kafka's server.properties")
    result.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], dest="settings", help="a setting")
    result.add_argument("--brokers", metavar="N", type=int, help="a cluster of N brokers, ports counted up from --port")
    result.add_argument("--stop-with-stdin", action="store_true", help="stop when standard input ends")
    result.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    result.add_argument("--log-format", choices=("text", "json"), default="text")
    result.add_argument("--version", action="version", version=f"pykbroker {__version__}")
    return result


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0 stopped in order, 1 broken, 2 cannot start as asked."""
    options = parser().parse_args(arguments)
    from pykbroker.config.errors import ConfigError
    from pykbroker.observability.log_setup import configure
    from pykbroker.shared_server import StartError

    configure(options.log_level, as_json=options.log_format == "json")
    try:
        return _run(options) if options.brokers is None else _run_cluster(options)
    except (ConfigError, StartError) as error:
        print(f"pykbroker: {error}", file=sys.stderr)
        return MISUSED


def _run(options: Namespace) -> int:
    """Raises ConfigError, StartError."""
    from pykbroker.cli.run_broker import run
    from pykbroker.config.environment import cluster_id

    config = load_config(options, os.environ)
    _refuse_cluster(config)
    if options.stop_with_stdin:
        _check_stdin()
    return run(
        config,
        ephemeral=options.ephemeral,
        cluster_id=cluster_id(os.environ),
        stop_with_stdin=options.stop_with_stdin,
        on_ready=lambda host, port: _announce(config, host, port),
    )


def _check_stdin() -> None:
    """Raises ConfigError for a file, whose end says nothing."""
    from pykbroker.config.errors import ConfigError

    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or sys.stdin.isatty()):
        raise ConfigError("--stop-with-stdin: standard input must be a pipe, a socket or a terminal")


def _refuse_cluster(config: "BrokerConfig") -> None:
    """The folders of a cluster's brokers have the names of partitions. Raises StartError."""
    from pykbroker.shared_server import StartError

    for directory in config.log_dirs or config.log_dir:
        if os.path.exists(os.path.join(directory, "broker-1", "meta.properties")):
            raise StartError(
                f"{directory} holds a cluster: start it with --brokers and the number of its brokers, "
                "or choose another directory"
            )


def _run_cluster(options: Namespace) -> int:
    """Raises ConfigError, StartError."""
    from pykbroker.cli.run_console import run

    return run(options, DEFAULT_PORT)


def load_config(options: Namespace, environ: Mapping[str, str]) -> "BrokerConfig":
    """The broker's settings from all sources. Raises ConfigError."""
    from pykbroker.config.parse import load

    config = load(options.config, environ, _overrides(options))
    if not options.ephemeral and "log.dirs" not in config.texts and "log.dir" not in config.texts:
        return config.with_overrides({"log.dirs": default_data_directory()})
    return config


def _overrides(options: Namespace) -> list[str]:
    overrides = []
    if options.port is not None or options.host is not None:
        host = "localhost" if options.host is None else options.host
        port = DEFAULT_PORT if options.port is None else options.port
        overrides.append(f"listeners=PLAINTEXT://{f'[{host}]' if ':' in host else host}:{port}")
    if options.data_dir is not None:
        overrides.append(f"log.dirs={options.data_dir}")
    overrides += options.settings
    return overrides


def default_data_directory() -> str:
    """$XDG_DATA_HOME/pykbroker, by default ~/.local/share/pykbroker."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(base, "pykbroker")


def _announce(config: "BrokerConfig", host: str, port: int) -> None:
    print(f"pykbroker ready: {f'[{host}]' if ':' in host else host}:{port}", flush=True)
    if sys.stderr.isatty():
        directories = ", ".join(_shown(path) for path in config.log_dirs or config.log_dir)
        print(
            f"  Kafka 4.3 compatible broker, pykbroker {__version__}\n"
            f"  bootstrap.servers={host}:{port}\n"
            f"  data in {directories}; Ctrl-C stops it",
            file=sys.stderr,
        )


def _shown(path: str) -> str:
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(home + os.sep) else path


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise ArgumentTypeError(f"{text} is not a port, a number from 0 to 65535")
    return int(text)
