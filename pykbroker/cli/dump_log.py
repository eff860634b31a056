"""pykbroker dump-log: what lies in the files of a data directory, for a person or as JSON lines."""

import os
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from typing import Any

from pykbroker.cli.output import as_json, run_quietly

DESCRIPTION = """\
Shows files of a data directory, ours or Apache Kafka's, and changes nothing: segments (.log), offset, time and
transaction indexes, producer snapshots, checkpoints, leader epochs, partition.metadata, meta.properties, quorum-state,
metadata snapshots (.checkpoint). A file's kind is told by its name; the names of its directory tell which records are
the metadata log's or a coordinator's, which are decoded."""
EPILOG = "exit code: 0 all well; 1 something is damaged or cannot be read: it is told at which byte, the rest is shown"
DECODERS = ("group", "transaction", "share", "metadata", "none")
Row = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    return run_quietly(lambda: _run(options))


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="pykbroker dump-log",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument(
        "--records",
        action=BooleanOptionalAction,
        help="the records of each batch too, decompressed; by default of the metadata log and of coordinators only",
    )
    parser.add_argument("--offset", type=int, default=0, help="begin with the batch or entry that holds this offset")
    parser.add_argument("--max", type=int, dest="maximum", help="at most so many batches or entries of each file")
    parser.add_argument("--decode", choices=DECODERS, help="how to read records, where the directory does not tell")
    parser.add_argument("--json", action="store_true", help='JSON lines, each with its "file"')
    return parser


def _run(options: Namespace) -> int:
    codes = [_dump(path, options) for path in options.files]
    return max(codes)


def _dump(path: str, options: Namespace) -> int:
    """The exit code of one file."""
    from pykbroker.log.inspection.kinds import recognise
    from pykbroker.log.inspection.row import DAMAGE

    recognised = recognise(path)
    if recognised is None and os.path.exists(path):
        kind = "a directory: see pykbroker check-dir" if os.path.isdir(path) else "none of Kafka's files by its name"
        return _complain(path, kind)
    try:
        code = 0
        for row in _rows(path, options):
            print(as_json({"file": path, **row}) if options.json else as_text(row))
            code |= row["row"] == DAMAGE
    except OSError as error:
        return _complain(path, error.strerror or str(error))
    return int(code)


def _rows(path: str, options: Namespace) -> Iterator[Row]:
    """Raises OSError."""
    from pykbroker.log.inspection.kinds import recognise
    from pykbroker.log.inspection.row import DumpOptions
    from pykbroker.raft.inspection.dump import dump

    recognised = recognise(path)
    if recognised is None:
        raise FileNotFoundError(2, "no such file", path)
    if options.decode is not None:
        recognised = recognised._replace(records="" if options.decode == "none" else options.decode)
    yield {"row": "dump", "path": path, "kind": recognised.kind.value, "size": os.stat(path).st_size}
    yield from dump(path, recognised, DumpOptions(options.records, options.offset, options.maximum))


def _complain(path: str, message: str) -> int:
    sys.stdout.flush()
    print(f"pykbroker dump-log: {path}: {message}", file=sys.stderr)
    return 1


def as_text(row: Row) -> str:
    """The row's name, then its fields; what is false or absent is left out."""
    if row["row"] == "damage":
        return f"DAMAGE at byte {row['position']}: {row['message']}"
    fields = [f"{name}: {_shown(value)}" for name, value in row.items() if name != "row" and value is not False]
    if row["row"] == "dump":
        return f"== {row['path']}: {row['kind']}, {row['size']} bytes"
    return f"{row['row']}  {'  '.join(fields)}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is True:
        return "yes"
    if isinstance(value, int):
        return str(value)
    return as_json(value) if value is not None else "null"
