"""pykbroker: which command runs, and what a misuse says."""

import subprocess
import sys

import pytest

from pykbroker import __version__
from pykbroker.cli import main as module
from pykbroker.cli.main import MISUSED, main


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Commands that would have run, with their arguments."""
    calls: list[tuple[str, list[str]]] = []

    def command(name: str) -> object:
        if name not in ("serve", "wire"):
            return None
        return lambda arguments: calls.append((name, arguments)) or 7

    monkeypatch.setattr(module, "_command", command)
    return calls


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ("serve", [])),
        (["--port", "0"], ("serve", ["--port", "0"])),
        (["serve", "--help"], ("serve", ["--help"])),
        (["wire", "show", "Fetch"], ("wire", ["show", "Fetch"])),
    ],
)
def test_serve_is_the_default(
    given: list[str], expected: tuple[str, list[str]], ran: list[tuple[str, list[str]]]
) -> None:
    assert main(given) == 7
    assert ran == [expected]


def test_an_unknown_command_is_told_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serv"]) == MISUSED
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("pykbroker: no command 'serv'\nusage: pykbroker")


@pytest.mark.parametrize(
    ("option", "expected"), [("--version", f"pykbroker {__version__}"), ("--help", "usage: pykbroker [serve]")]
)
def test_help_and_version(option: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([option]) == 0
    assert capsys.readouterr().out.startswith(expected)


def test_the_commands_exist() -> None:
    from pykbroker.cli import check_dir, dump_log, serve, wire

    assert module._command("serve") is serve.main
    assert module._command("wire") is wire.main
    assert module._command("dump-log") is dump_log.main
    assert module._command("check-dir") is check_dir.main


def test_python_dash_m_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pykbroker", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"pykbroker {__version__}\n")
