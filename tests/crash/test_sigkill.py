"""A process that appends is killed at any moment: every acknowledged record is there, in order, once."""

import subprocess
import sys
from pathlib import Path
from random import Random

from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.reader import iterate_records
from tests.crash.appender import CONFIG, PRODUCER_ID
from tests.log.logs import open_log, read_all

ROUNDS = 20
ROOT = Path(__file__).resolve().parents[2]


def run_and_kill(directory: Path, seed: int, acknowledgements: int) -> int:
    """The last offset that the process acknowledged before SIGKILL reached it; killed after so many, or a few more."""
    command = [sys.executable, "-m", "tests.crash.appender", str(directory), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(acknowledgements)]
        process.kill()
        lines += process.stdout.readlines()
    whole = [line for line in lines if line.endswith(b"\n")]
    assert len(whole) >= acknowledgements, "the process ended by itself"
    return int(whole[-1])


def values(log: UnifiedLog) -> list[int]:
    return [int(record.value or b"") for _, data in read_all(log) for record in iterate_records(data)]


def test_every_acknowledged_record_survives_sigkill(tmp_path: Path) -> None:
    random = Random(20)
    directory = tmp_path / "t-0"
    segments = set()
    for seed in range(ROUNDS):
        acknowledged = run_and_kill(directory, seed, random.randint(1, 120))
        log = open_log(directory, clean=False, **CONFIG)
        assert log.log_end_offset >= acknowledged
        assert values(log) == list(range(log.log_end_offset))
        assert log.producer_state.producers[PRODUCER_ID].last_sequence == log.log_end_offset - 1
        segments |= {segment.base_offset for segment in log.segments}
    assert len(segments) > ROUNDS
