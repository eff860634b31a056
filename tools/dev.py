"""The only entry a developer needs: python tools/dev.py check | test | generate | bench | compat.

`test` (and `compat`) work on a fresh machine with Python and pip alone: they make .venv and install what they need.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
import xml.etree.ElementTree
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(os.environ.get("PYKBROKER_VENV") or ROOT / ".venv")
PYTHON = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
# Of compat_tests.
NEED_JAVA = ("java", "disk", "cluster", "test_transactions_handover.py", "test_consumer_groups_handover.py")
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

# So many failing tests may be run again.
FEW = 5
TWO = ("-n", "2")
# Each has a broker of its own for all its tests; those of a file stay together, since they share more.
TWO_BY_FILES = (*TWO, "--dist", "loadfile", "--no-loadscope-reorder")
ALONE = ("-n", "0")


class Outcome(NamedTuple):
    """What became of pytest runs: how many tests passed and failed. In CI a skipped test is a failed one."""

    passed: int
    failed: int

    def __and__(self, other: "Outcome") -> "Outcome":
        return Outcome(self.passed + other.passed, self.failed + other.failed)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed"


def run(*command: str | Path, cwd: Path = ROOT) -> int:
    """Runs one step, echoed, and returns its exit code."""
    print("+", *(str(part) for part in command), flush=True)
    # KAFKA_LOG_DIRS and the like of another broker's user would configure the brokers that the tests start, and
    # PYTHONDONTWRITEBYTECODE would have each of them compile its modules anew, which is half of a start.
    environment = {name: value for name, value in os.environ.items() if not is_unwanted(name)}
    return subprocess.call([str(part) for part in command], cwd=cwd, env={**environment, "PYTHONPATH": str(ROOT)})


def is_unwanted(variable: str) -> bool:
    is_setting = variable.startswith("KAFKA_") and variable != "KAFKA_ORACLE"
    return is_setting or variable == "PYTHONDONTWRITEBYTECODE"


def python(*arguments: str) -> int:
    return run(PYTHON, *arguments)


def pytest(*arguments: str) -> Outcome:
    """Runs pytest and counts. A run that breaks off, or that runs nothing, is a failure too.

    A few that fail run once more, alone: stock clients have races of their own. Who passes then is named, not hidden.
    """
    code, passed, failed, skipped = run_pytest(*arguments)
    if (code and not failed + IN_CI * skipped) or passed + failed + skipped == 0:
        print(f"pytest broke off with exit code {code}", flush=True)
        return Outcome(passed, failed + 1)
    if 0 < failed <= FEW:
        second_code, _, failed_again, _ = run_pytest(
            "-rA", "--last-failed", "--last-failed-no-failures=none", *arguments, *ALONE
        )
        if second_code == 0:
            print(f"NOTE: {failed} failed at first and passed when run again: see their names above", flush=True)
        if second_code in (0, 1):
            passed, failed = passed + failed - failed_again, failed_again
    return Outcome(passed, failed + IN_CI * skipped)


def run_pytest(*arguments: str) -> tuple[int, int, int, int]:
    """(exit code, passed, failed, skipped) of one run."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        code = python("-m", "pytest", "-q", f"--junit-xml={report}", *arguments)
        return code, *(count(report) if report.exists() else (0, 0, 0))


def count(report: Path) -> tuple[int, int, int]:
    """(passed, failed, skipped) from a JUnit report."""
    passed = failed = left_out = 0
    for suite in xml.etree.ElementTree.parse(report).iter("testsuite"):
        tests, failures, errors, skipped = (
            int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")
        )
        passed += tests - failures - errors - skipped
        failed += failures + errors
        left_out += skipped
    return passed, failed, left_out


def install() -> None:
    """Makes .venv with pykbroker and its tests' needs, unless it is there and pyproject.toml has not changed."""
    stamp = VENV / ".installed"
    settings = (ROOT / "pyproject.toml").read_text()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == settings:
        return
    print(f"installing into {VENV}", flush=True)
    venv.create(VENV, with_pip=True, clear=False)
    if python("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", ".[test]"):
        sys.exit("installing failed: see pip's message above; a package index must be reachable")
    stamp.write_text(settings)


def check(_: argparse.Namespace) -> int:
    """ruff, mypy --strict, generated code. (Layers and sizes are tests: tests/test_layers.py.)"""
    install()
    steps = (
        ("-m", "ruff", "check", "."),
        ("-m", "mypy"),
        ("-m", "tools.generate", "--check"),
    )
    failed = [" ".join(step[1:]) for step in steps if python(*step)]
    if failed:
        print(f"check failed: {', '.join(failed)}", flush=True)
    return int(bool(failed))


def generate(_: argparse.Namespace) -> int:
    """Writes the generated modules from protocol_specs/."""
    install()
    return python("-m", "tools.generate")


def test(arguments: argparse.Namespace) -> int:
    """check, then tests/, then the stock clients in compat_tests/; the last line tells the tests passed and failed."""
    unchecked = check(arguments)
    outcome = pytest("tests", *TWO) & stock_clients(arguments)
    return unchecked | conclude(outcome)


def compat(arguments: argparse.Namespace) -> int:
    """compat_tests/ against pykbroker, or against --bootstrap HOST:PORT, or with --oracle against the real Kafka."""
    install()
    return conclude(stock_clients(arguments))


def conclude(outcome: Outcome) -> int:
    print(outcome, flush=True)
    return int(outcome.failed > 0 or outcome.passed == 0)


def stock_clients(arguments: argparse.Namespace) -> Outcome:
    """What needs Java, and Maven to fetch Kafka's jars, is left out where those lack, but not in CI."""
    options = list(TWO_BY_FILES)
    if getattr(arguments, "oracle", False):
        options.append("--oracle")
    elif getattr(arguments, "bootstrap", None):
        options = [f"--bootstrap={arguments.bootstrap}"]
    if python("tools/oracle/kafka.py", "jars") == 0:
        return pytest("compat_tests", *options)
    print(f"{'FAILED' if IN_CI else 'NOTE'}: the tests with Java cannot run: see the message above", flush=True)
    left_out = (f"--ignore=compat_tests/{name}" for name in NEED_JAVA)
    return pytest("compat_tests", *options, *left_out) & Outcome(0, int(IN_CI))


def bench(arguments: argparse.Namespace) -> int:
    """The same client load against pykbroker and the real Kafka, alternating in one run."""
    install()
    return python("-m", "tools.bench", *arguments.rest)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tools/dev.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for function in (check, test, generate, compat):
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.set_defaults(function=function)
    command.add_argument("--bootstrap", help="HOST:PORT of a running broker, ours or Kafka's")
    command.add_argument("--oracle", action="store_true", help="start the real Kafka 4.3.1 and test against it")
    command = commands.add_parser("bench", help=bench.__doc__, add_help=False)
    command.set_defaults(function=bench)
    arguments, rest = parser.parse_known_args()
    if rest and arguments.function is not bench:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    arguments.rest = rest
    result: int = arguments.function(arguments)
    return result


if __name__ == "__main__":
    sys.exit(main())
