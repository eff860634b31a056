"""A running broker keeps inspections away, and they keep brokers away."""

import subprocess
import sys
from pathlib import Path

import pytest

from pykbroker.log.inspection.lock import ReadLock
from pykbroker.log.log_dir import LogDirError

HOLD = """
import sys
from pykbroker.log.log_dir import DirectoryLock, LogDirError
try:
    lock = DirectoryLock(sys.argv[1])
except LogDirError:
    print("refused", flush=True)
else:
    print("held", flush=True)
sys.stdin.read()
"""


def broker(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_refused_while_a_broker_runs(tmp_path: Path) -> None:
    with broker(tmp_path) as process:
        assert answer(process) == "held"
        with pytest.raises(LogDirError, match="in use by a running broker"):
            ReadLock(str(tmp_path))
        process.communicate()
    with ReadLock(str(tmp_path)), ReadLock(str(tmp_path)):
        pass


def test_a_broker_waits_until_it_was_read(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with ReadLock(str(tmp_path)), broker(tmp_path) as process:
        assert answer(process) == "refused"
        process.communicate()


def test_nothing_is_made(tmp_path: Path) -> None:
    with ReadLock(str(tmp_path)):
        assert list(tmp_path.iterdir()) == []
