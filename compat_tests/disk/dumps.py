"""What the checkers of both sides find in a data directory at rest: kafka-dump-log, and our own check-dir."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from compat_tests.brokers import ROOT
from compat_tests.java.tools import run

DUMP = "org.apache.kafka.tools.DumpLogSegments"
COMPLAINTS = (
    "Exception",
    "Mismatches",
    "Could not",
    "invalid",
    "Invalid",
    "mismatch",
    "not yet",
    "isvalid: false",
    "unknown",
    "Failed",
    "corrupt",
)
INDEXES = ("*.index", "*.timeindex")
DECODED = {
    "--cluster-metadata-decoder": ("__cluster_metadata-*/*.log", "__cluster_metadata-*/*.checkpoint"),
    "--offsets-decoder": ("__consumer_offsets-*/*.log",),
    "--transaction-log-decoder": ("__transaction_state-*/*.log",),
}


def dump_complaints(data: Path) -> list[str]:
    """Each complaint with its surroundings; of every file that the tool can read, but for those of deleted topics.

    (Kafka leaves their indexes preallocated, on which its own tool breaks.)
    """
    rows = [
        *complaints(data, ["--deep-iteration"], ["*/*.log", "*/*.txnindex", "*/*.snapshot"]),
        *complaints(data, ["--verify-index-only"], [f"*/{pattern}" for pattern in INDEXES]),
        *complaints(data, ["--index-sanity-check"], [f"*/{pattern}" for pattern in INDEXES]),
    ]
    for decoder, patterns in DECODED.items():
        rows += complaints(data, [decoder, "--deep-iteration"], patterns)
    return rows


def complaints(data: Path, options: list[str], patterns: Iterable[str]) -> Iterator[str]:
    found = (path for pattern in patterns for path in data.glob(pattern))
    files = sorted(str(path) for path in found if not path.parent.name.endswith("-delete"))
    assert files, patterns
    lines = run(DUMP, *options, "--files", ",".join(files)).splitlines()
    for number, line in enumerate(lines):
        found = any(complaint in line.split("payload:")[0] for complaint in COMPLAINTS) or is_gap(lines, number)
        if found and not is_said_of_kafka_too(lines, number):
            yield "\n".join(lines[max(0, number - 2) : number + 3])


def is_said_of_kafka_too(lines: list[str], number: int) -> bool:
    """Of a batch without records, which compaction keeps for its sequence, the tool misses the timestamp."""
    return "/compacted" in lines[number] and lines[number + 1].endswith("log timestamp: -1")


def is_gap(lines: list[str], number: int) -> bool:
    """Whether offsets are missing where nothing was compacted. The tool finds -1 before each segment's first."""
    if "is followed by" not in lines[number] or lines[number].startswith("  -1 "):
        return False
    file = next(line for line in reversed(lines[:number]) if line.startswith("Non-consecutive"))
    return "/compacted" not in file and "/__" not in file


def check_dir_complaints(data: Path) -> str:
    """Empty where there are none."""
    command = [sys.executable, "-m", "pykbroker", "check-dir", str(data)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
