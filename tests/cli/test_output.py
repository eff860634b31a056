"""Lines of commands: one JSON object each, and no traceback when nobody reads on."""

import subprocess
import sys

from pykbroker.cli.output import INTERRUPTED, as_json, run_quietly

WRITE = """
import sys
from pykbroker.cli.output import run_quietly
def work():
    for _ in range(100_000):
        print("grün " * 20)
    return 0
sys.exit(run_quietly(work))
"""


def test_json_in_one_line() -> None:
    assert as_json({"a": "grün\n", "b": None}) == '{"a":"grün\\n","b":null}'


def test_codes() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert run_quietly(lambda: 3) == 3
    assert run_quietly(interrupted) == INTERRUPTED


def test_a_reader_that_goes() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"LC_ALL": "C"}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().decode().startswith("grün")
        process.stdout.close()
        assert process.wait() == 1
        assert process.stderr.read() == b""
