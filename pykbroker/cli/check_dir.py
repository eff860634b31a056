"""pykbroker check-dir: reads everything in a data directory and says what is wrong, and where."""

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pykbroker.cli.output import as_json, run_quietly
from pykbroker.cli.progress import Progress

if TYPE_CHECKING:
    from pykbroker.log.inspection.batches import FoundBatch
    from pykbroker.log.inspection.report import Finding, Report
    from pykbroker.raft.inspection.data_check import DataCheck

DESCRIPTION = """\
Reads all files of one or more log directories, ours or Apache Kafka's, and changes nothing: every checksum, index,
epoch, producer state, checkpoint and record of the metadata log and of the coordinators. No broker may run on them.

One line per finding:  SEVERITY: FILE, byte N, offset N: KIND: MESSAGE
  defect           something is lost or contradicts the rest
  needs recovery   what a kill or power cut leaves behind; the next start of the broker repairs it
  note             a leftover or unknown file
Name all directories of log.dirs together: the metadata log in one of them tells what belongs in the others."""
EPILOG = "exit code: 0 sound, or the next start repairs all there is; 1 defects; 2 in use, or no data directory"
DEFECTS, MISUSED = 1, 2


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    return run_quietly(lambda: _run(options))


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="pykbroker check-dir",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("directories", metavar="DIR", nargs="+", help="a log directory")
    parser.add_argument("--deep", action="store_true", help="decompress and read every record of every topic too")
    parser.add_argument("--json", action="store_true", help="JSON lines; the last one is the summary")
    return parser


def _run(options: Namespace) -> int:
    from pykbroker.log.inspection.lock import ReadLock
    from pykbroker.log.log_dir import LogDirError

    paths = [path.rstrip("/") or "/" for path in options.directories]
    try:
        with ExitStack() as locks:
            for path in paths:
                _refuse_other(path)
                locks.enter_context(ReadLock(path))
            return _check(paths, options)
    except LogDirError as error:
        print(f"pykbroker check-dir: {error}", file=sys.stderr)
    except OSError as error:
        print(f"pykbroker check-dir: {error.filename}: {error.strerror}", file=sys.stderr)
    return MISUSED


def _refuse_other(path: str) -> None:
    """Raises LogDirError, OSError."""
    from pykbroker.log.log_dir import META_PROPERTIES, LogDirError, parse_partition_directory

    names = os.listdir(path)
    if META_PROPERTIES not in names and not any(parse_partition_directory(name) for name in names):
        raise LogDirError(f"{path} is no data directory: it has neither {META_PROPERTIES} nor partitions")


class _Printer:
    """Findings go to standard output as they come, the bar to standard error."""

    def __init__(self, progress: Progress, *, is_json: bool) -> None:
        self._progress = progress
        self._is_json = is_json

    def show(self, finding: "Finding") -> None:
        self._progress.clear()
        print(as_json({**finding._asdict(), "severity": finding.severity.value}) if self._is_json else finding)

    def take(self, path: str, batch: "FoundBatch") -> None:
        self._progress.add(batch.size)


def _check(paths: list[str], options: Namespace) -> int:
    from pykbroker.log.inspection.report import Report, Severity
    from pykbroker.raft.inspection.data_check import DataCheck

    total = _bytes_of_segments(paths)
    progress = Progress(total, sys.stderr)
    printer = _Printer(progress, is_json=options.json)
    report = Report(printer.show)
    check = DataCheck(paths, report, is_deep=options.deep, readers=[printer])
    check.run()
    progress.clear()
    print(as_json(_summary(check, report, total)) if options.json else _verdict(check, report, total))
    return DEFECTS if report.counts[Severity.DEFECT] else 0


def _bytes_of_segments(paths: list[str]) -> int:
    return sum(
        os.stat(os.path.join(folder, name)).st_size
        for path in paths
        for folder, _, names in os.walk(path)
        for name in names
        if name.endswith(".log")
    )


def _summary(check: "DataCheck", report: "Report", total: int) -> dict[str, object]:
    from pykbroker.log.inspection.report import Severity

    return {
        "summary": _verdict(check, report, total),
        "clean_shutdown": check.is_clean,
        "logs": check.logs,
        "bytes": total,
        "defects": report.counts[Severity.DEFECT],
        "needs_recovery": report.counts[Severity.RECOVERY],
        "notes": report.counts[Severity.NOTE],
        "not_shown": report.suppressed,
    }


def _verdict(check: "DataCheck", report: "Report", total: int) -> str:
    from pykbroker.log.inspection.report import Severity

    what = f"{check.logs} logs with {total} bytes"
    hidden = f", {report.suppressed} more of the same not shown" if report.suppressed else ""
    defects, repairs = report.counts[Severity.DEFECT], report.counts[Severity.RECOVERY]
    if defects:
        return f"{defects} defect{'s' if defects > 1 else ''} in {what}{hidden}"
    if check.is_clean:
        return f"sound: {what}"
    told = f"repairs the {repairs} findings above{hidden}" if repairs else "finds nothing lost"
    return f"needs recovery, no defects: {what}, not stopped in order; the next start of the broker {told}"
