"""pykbroker cluster status | start N | stop N | kill N: talks to the console of `pykbroker serve --brokers N`."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any

from pykbroker.cli.output import as_json, run_quietly

BROKEN, MISUSED = 1, 2
DESCRIPTION = """\
Asks the console of `pykbroker serve --brokers N`, which must run on this machine for the same user.

  status    what each broker leads, which copies it lacks (behind), memory
  stop N    stops broker N in order: its partitions move to others before
  kill N    kills it, as a crash would
  start N   starts it again
stop, kill and start return when it is done."""


def default_cluster_directory() -> str:
    """$XDG_DATA_HOME/pykbroker-cluster, by default in ~/.local/share; not that of a single node."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(base, "pykbroker-cluster")


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    return run_quietly(lambda: _run(options))


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="pykbroker cluster", description=DESCRIPTION, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("status", "start", "stop", "kill"))
    parser.add_argument("broker", metavar="N", type=int, nargs="?", help="the broker's number, from 1")
    parser.add_argument("--data-dir", metavar="DIR", default=default_cluster_directory(), help="of the cluster")
    parser.add_argument("--json", action="store_true", help="the console's answer as a JSON object")
    return parser


def _run(options: Namespace) -> int:
    if (options.broker is None) != (options.command == "status"):
        wants = "no number" if options.broker is not None else "the number of a broker"
        print(f"pykbroker cluster: {options.command} takes {wants}", file=sys.stderr)
        return MISUSED
    try:
        answer = ask(options.data_dir, options.command, options.broker)
    except (FileNotFoundError, ConnectionRefusedError):
        print(
            f"pykbroker cluster: no console runs on {options.data_dir}: start it with pykbroker serve --brokers 3, "
            "or name its directory by --data-dir",
            file=sys.stderr,
        )
        return MISUSED
    except OSError as error:
        print(f"pykbroker cluster: {options.data_dir}: {error.strerror or error}", file=sys.stderr)
        return BROKEN
    return _show(answer, options)


def _show(answer: dict[str, Any], options: Namespace) -> int:
    error = answer.get("error")
    if options.json:
        print(as_json(answer))
    elif error:
        print(f"pykbroker cluster: {error}", file=sys.stderr)
    elif options.command == "status":
        from pykbroker.console.status import as_text

        print("\n".join(as_text(answer)))
    return BROKEN if error else 0


def ask(directory: str, command: str, broker: int | None = None) -> dict[str, Any]:
    """The console's answer; "error" tells why it was not done. Raises OSError."""
    from pykbroker.console import socket_path

    request = {"command": command} if broker is None else {"command": command, "broker": broker}
    with socket_path.connect(directory) as connection:
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as lines:
            line = lines.readline()
    if not line:
        raise ConnectionResetError(0, "the console ended before it answered")
    answer: dict[str, Any] = json.loads(line)
    return answer
