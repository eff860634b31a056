"""serve --brokers: what is refused before anything starts. The console itself: tests/console."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pykbroker.cli.main import main
from pykbroker.cli.run_console import _announce
from pykbroker.console.settings import Plan


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.addLevelName(logging.WARNING, "WARNING")


def serve(folder: Path, *arguments: str) -> int:
    return main(["serve", "--data-dir", str(folder), "--log-level", "error", *arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--brokers", "0"], "--brokers 0: must be from 1 to 99"),
        (["--brokers", "100"], "--brokers 100: must be from 1 to 99"),
        (["--brokers", "3", "--port", "65534"], "--port 65534: there are not 3 ports from there on"),
        (["--brokers", "3", "--set", "node.id=7"], "--set node.id=7: with --brokers this is decided for each node"),
        (["--brokers", "3", "--set", "nothing=7"], "--set: unknown setting nothing=7"),
        (["--brokers", "3", "--config", "/nowhere"], "cannot read /nowhere"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve(tmp_path, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pykbroker: {message}")
    assert list(tmp_path.iterdir()) == []


def test_fewer_brokers_than_before_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broker-3").mkdir()
    assert serve(tmp_path, "--brokers", "2") == 2
    assert f"{tmp_path}/broker-3 belongs to a broker that --brokers 2 leaves out" in capsys.readouterr().err


def test_a_cluster_id_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLUSTER_ID", "two words")
    assert serve(tmp_path, "--brokers", "2") == 2
    assert "CLUSTER_ID=two words: a cluster id is one word" in capsys.readouterr().err


def test_one_line_tells_all_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan("/d", 2, "localhost", 0, None, (), "info", "text")
    _announce(["h:1", "h:2"], plan, "pykbroker cluster")
    assert capsys.readouterr() == ("pykbroker ready: h:1,h:2\n", "")
