"""pykbroker [COMMAND] …: picks the command and imports only its code. Exit codes: 0 well, 1 broken, 2 misused."""

import sys
from collections.abc import Callable, Sequence

from pykbroker import __version__

USAGE = """\
usage: pykbroker [serve] [options]     run a broker (the default)
       pykbroker cluster COMMAND       show, stop, kill and start brokers of serve --brokers N
       pykbroker format -c FILE -t ID  format the directories of a node, as kafka-storage does
       pykbroker info -c FILE          show whether and for whom they are formatted
       pykbroker random-uuid           print an id for a cluster
       pykbroker wire COMMAND          decode, encode and show frames of the Kafka protocol
       pykbroker dump-log FILE...      show segments, indexes, checkpoints, metadata and coordinator records
       pykbroker check-dir DIR...      read everything in data directories and tell what is wrong
       pykbroker --version
Each command explains itself: pykbroker serve --help, pykbroker wire --help."""

MISUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in ("--version", "-V"):
        print(f"pykbroker {__version__}")
        return 0
    if given and given[0] in ("--help", "-h", "help"):
        print(USAGE)
        return 0
    if not given or given[0].startswith("-"):
        given.insert(0, "serve")
    command = _command(given[0])
    if command is None:
        print(f"pykbroker: no command {given[0]!r}\n{USAGE}", file=sys.stderr)
        return MISUSED
    return command(given[1:])


def _command(name: str) -> Callable[[list[str]], int] | None:
    if name == "serve":
        from pykbroker.cli.serve import main as serve

        return serve
    if name == "wire":
        from pykbroker.cli.wire import main as wire

        return wire
    if name == "dump-log":
        from pykbroker.cli.dump_log import main as dump_log

        return dump_log
    if name == "check-dir":
        from pykbroker.cli.check_dir import main as check_dir

        return check_dir
    if name == "cluster":
        from pykbroker.cli.cluster import main as cluster

        return cluster
    if name in ("format", "info", "random-uuid"):
        from pykbroker.cli import storage

        return {
            "format": storage.format_main,
            "info": storage.info_main,
            "random-uuid": storage.random_uuid_main,
        }[name]
    return None
