"""tools/dev.py: counting what pytest ran, and what makes a run fail."""

from pathlib import Path

import pytest

from tools import dev
from tools.dev import Outcome

REPORT = '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>'


def report(folder: Path, *numbers: int) -> Path:
    path = folder / "report.xml"
    path.write_text(REPORT.format(*numbers))
    return path


def play_pytest(monkeypatch: pytest.MonkeyPatch, code: int, *numbers: int) -> None:
    """The next run leaves a report with these numbers, or none, and exits with `code`."""

    def python(*arguments: str) -> int:
        (option,) = [argument for argument in arguments if argument.startswith("--junit-xml=")]
        if numbers:
            report(Path(option.removeprefix("--junit-xml=")).parent, *numbers)
        return code

    monkeypatch.setattr(dev, "python", python)


def test_counts_are_added_up() -> None:
    assert Outcome(3, 0) & Outcome(4, 1) == Outcome(7, 1)
    assert str(Outcome(7, 1)) == "7 passed, 1 failed"


def test_errors_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "IN_CI", False)
    assert dev.count(report(tmp_path, 10, 2, 1, 3)) == Outcome(4, 3)


def test_in_ci_a_skip_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "IN_CI", True)
    assert dev.count(report(tmp_path, 10, 0, 0, 3)) == Outcome(7, 3)


def test_a_good_run(monkeypatch: pytest.MonkeyPatch) -> None:
    play_pytest(monkeypatch, 0, 10, 0, 0, 0)
    assert dev.pytest("tests") == Outcome(10, 0)


@pytest.mark.parametrize(
    ("code", "numbers", "expected"),
    [
        (2, (10, 0, 0, 0), Outcome(10, 1)),
        (3, (), Outcome(0, 1)),
        (5, (0, 0, 0, 0), Outcome(0, 1)),
        (1, (10, 1, 0, 0), Outcome(9, 1)),
    ],
)
def test_a_run_that_breaks_off_is_a_failure(
    code: int, numbers: tuple[int, ...], expected: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_pytest(monkeypatch, code, *numbers)
    assert dev.pytest("tests") == expected


@pytest.mark.parametrize(
    ("in_ci", "expected"), [(True, Outcome(10, 1)), (False, Outcome(10, 0))], ids=["in CI", "at home"]
)
def test_without_java_the_rest_runs(in_ci: bool, expected: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(dev, "IN_CI", in_ci)
    monkeypatch.setattr(dev, "python", lambda *_: 1)
    monkeypatch.setattr(dev, "pytest", lambda *arguments: ran.append(arguments) or Outcome(10, 0))
    assert dev.stock_clients(dev.argparse.Namespace()) == expected
    assert ran == [("compat_tests", *(f"--ignore=compat_tests/{name}" for name in dev.NEED_JAVA))]
    assert all((dev.ROOT / "compat_tests" / name).exists() for name in dev.NEED_JAVA)


def test_the_last_line_and_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.conclude(Outcome(5, 0)) == 0
    assert dev.conclude(Outcome(5, 1)) == 1
    assert dev.conclude(Outcome(0, 0)) == 1
    assert capsys.readouterr().out.splitlines() == ["5 passed, 0 failed", "5 passed, 1 failed", "0 passed, 0 failed"]


def test_settings_of_another_broker_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    monkeypatch.setenv("KAFKA_LOG_DIRS", "/elsewhere")
    monkeypatch.setenv("KAFKA_ORACLE", "/jars")
    monkeypatch.setattr(dev.subprocess, "call", lambda _, env, **__: seen.update(env) or 0)
    assert dev.python("--version") == 0
    assert "KAFKA_LOG_DIRS" not in seen
    assert seen["KAFKA_ORACLE"] == "/jars"
    assert seen["PYTHONPATH"] == str(dev.ROOT)
