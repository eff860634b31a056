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


def play_pytest(monkeypatch: pytest.MonkeyPatch, *runs: tuple[int, tuple[int, ...]]) -> list[tuple[str, ...]]:
    """Each run exits with its code and leaves a report with its numbers, or none; what they were asked is returned."""
    asked = []
    left = list(runs)

    def python(*arguments: str) -> int:
        asked.append(arguments)
        code, numbers = left.pop(0)
        (option,) = [argument for argument in arguments if argument.startswith("--junit-xml=")]
        if numbers:
            report(Path(option.removeprefix("--junit-xml=")).parent, *numbers)
        return code

    monkeypatch.setattr(dev, "python", python)
    return asked


def test_counts_are_added_up() -> None:
    assert Outcome(3, 0) & Outcome(4, 1) == Outcome(7, 1)
    assert str(Outcome(7, 1)) == "7 passed, 1 failed"


def test_a_report_is_counted(tmp_path: Path) -> None:
    assert dev.count(report(tmp_path, 10, 2, 1, 3)) == (4, 3, 3)


@pytest.mark.parametrize(("in_ci", "expected"), [(True, Outcome(7, 3)), (False, Outcome(7, 0))])
def test_in_ci_a_skip_is_a_failure(in_ci: bool, expected: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "IN_CI", in_ci)
    play_pytest(monkeypatch, (0, (10, 0, 0, 3)))
    assert dev.pytest("tests") == expected


def test_a_good_run(monkeypatch: pytest.MonkeyPatch) -> None:
    play_pytest(monkeypatch, (0, (10, 0, 0, 0)))
    assert dev.pytest("tests") == Outcome(10, 0)


@pytest.mark.parametrize(
    ("code", "numbers", "expected"),
    [(2, (10, 0, 0, 0), Outcome(10, 1)), (3, (), Outcome(0, 1)), (5, (0, 0, 0, 0), Outcome(0, 1))],
)
def test_a_run_that_breaks_off_is_a_failure(
    code: int, numbers: tuple[int, ...], expected: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_pytest(monkeypatch, (code, numbers))
    assert dev.pytest("tests") == expected


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ((0, (2, 0, 0, 0)), Outcome(10, 0)),
        ((1, (2, 1, 0, 0)), Outcome(9, 1)),
        ((1, (2, 1, 1, 0)), Outcome(8, 2)),
        ((3, ()), Outcome(8, 2)),
    ],
    ids=["well at last", "one again", "both again", "broken off"],
)
def test_a_few_that_fail_run_once_more(
    second: tuple[int, tuple[int, ...]], expected: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = play_pytest(monkeypatch, (1, (10, 1, 1, 0)), second)
    assert dev.pytest("tests") == expected
    assert "--last-failed" in asked[1]
    assert asked[1][-2:] == dev.ALONE
    assert "--last-failed" not in asked[0]


def test_many_that_fail_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    play_pytest(monkeypatch, (1, (10, dev.FEW + 1, 0, 0)))
    assert dev.pytest("tests") == Outcome(10 - dev.FEW - 1, dev.FEW + 1)


def test_a_second_run_excuses_no_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "IN_CI", True)
    play_pytest(monkeypatch, (1, (10, 1, 0, 1)), (0, (1, 0, 0, 0)))
    assert dev.pytest("tests") == Outcome(9, 1)


@pytest.mark.parametrize(
    ("in_ci", "expected"), [(True, Outcome(10, 1)), (False, Outcome(10, 0))], ids=["in CI", "at home"]
)
def test_without_java_the_rest_runs(in_ci: bool, expected: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(dev, "IN_CI", in_ci)
    monkeypatch.setattr(dev, "python", lambda *_: 1)
    monkeypatch.setattr(dev, "pytest", lambda *arguments: ran.append(arguments) or Outcome(10, 0))
    assert dev.stock_clients(dev.argparse.Namespace()) == expected
    assert ran == [("compat_tests", *dev.TWO_BY_FILES, *(f"--ignore=compat_tests/{name}" for name in dev.NEED_JAVA))]
    assert all((dev.ROOT / "compat_tests" / name).exists() for name in dev.NEED_JAVA)


def test_a_broker_of_somebody_else_is_asked_by_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(dev, "python", lambda *_: 0)
    monkeypatch.setattr(dev, "pytest", lambda *arguments: ran.append(arguments) or Outcome(10, 0))
    dev.stock_clients(dev.argparse.Namespace(oracle=False, bootstrap="there:9092"))
    dev.stock_clients(dev.argparse.Namespace(oracle=True, bootstrap=None))
    assert ran == [("compat_tests", "--bootstrap=there:9092"), ("compat_tests", *dev.TWO_BY_FILES, "--oracle")]


def test_the_last_line_and_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.conclude(Outcome(5, 0)) == 0
    assert dev.conclude(Outcome(5, 1)) == 1
    assert dev.conclude(Outcome(0, 0)) == 1
    assert capsys.readouterr().out.splitlines() == ["5 passed, 0 failed", "5 passed, 1 failed", "0 passed, 0 failed"]


def test_settings_of_another_broker_and_of_python_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    monkeypatch.setenv("KAFKA_LOG_DIRS", "/elsewhere")
    monkeypatch.setenv("KAFKA_ORACLE", "/jars")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(dev.subprocess, "call", lambda _, env, **__: seen.update(env) or 0)
    assert dev.python("--version") == 0
    assert not {"KAFKA_LOG_DIRS", "PYTHONDONTWRITEBYTECODE"} & set(seen)
    assert seen["KAFKA_ORACLE"] == "/jars"
    assert seen["PYTHONPATH"] == str(dev.ROOT)
