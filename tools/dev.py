"""The only entry a developer needs: python tools/dev.py check | test | generate | bench | compat.

`test` (and `compat`) work on a fresh machine with Python and pip alone: they make .venv and install what they need.
"""

import argparse
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(os.environ.get("PYKBROKER_VENV") or ROOT / ".venv")
PYTHON = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
IN_CI = bool(os.environ.get("CI"))


def run(*command: str | Path, cwd: Path = ROOT) -> int:
    """Runs one step, echoed, and returns its exit code."""
    print("+", *(str(part) for part in command), flush=True)
    return subprocess.call([str(part) for part in command], cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)})


def python(*arguments: str) -> int:
    return run(PYTHON, *arguments)


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


def has_java() -> bool:
    """True when the Java parts can run: Java, and Maven to fetch Kafka's jars. Their lack is an error in CI."""
    missing = [tool for tool in ("java", "mvn") if not shutil.which(tool)]
    if not missing and run(sys.executable, "tools/oracle/kafka.py", "jars") == 0:
        return True
    problem = (
        f"{' and '.join(missing)} not found" if missing else "Kafka's jars cannot be fetched: see Maven's message above"
    )
    if IN_CI:
        sys.exit(f"{problem}: CI must run the Java clients too")
    print(f"NOTE: {problem}: the Java clients' tests are left out", flush=True)
    return False


def check(_: argparse.Namespace) -> int:
    """ruff, mypy --strict, generated code. (Layers and sizes are tests: tests/test_layers.py.)"""
    install()
    steps = (
        ("-m", "ruff", "check", "."),
        ("-m", "mypy"),
        ("-m", "tools.generate", "--check"),
    )
    return max([python(*step) for step in steps])


def generate(_: argparse.Namespace) -> int:
    """Writes the generated modules from protocol_specs/."""
    install()
    return python("-m", "tools.generate")


def test(arguments: argparse.Namespace) -> int:
    """check, then tests/, then the stock clients in compat_tests/."""
    failed = check(arguments)
    failed |= python("-m", "pytest", "tests", "-q", "-n", "2")
    return failed | compat(arguments)


def compat(arguments: argparse.Namespace) -> int:
    """compat_tests/ against pykbroker, or against --bootstrap HOST:PORT, or with --oracle against the real Kafka."""
    install()
    java = has_java()
    command = ["-m", "pytest", "compat_tests", "-q"]
    if not java:
        command.append("--ignore=compat_tests/java")
    if getattr(arguments, "oracle", False):
        command.append("--oracle")
    elif getattr(arguments, "bootstrap", None):
        command.append(f"--bootstrap={arguments.bootstrap}")
    return python(*command)


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
