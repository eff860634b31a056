"""pykbroker serve: options to settings, the ready line, and one clear line for whatever keeps it from starting."""

import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pykbroker.cli import serve
from pykbroker.cli.serve import MISUSED, _announce, _overrides, default_data_directory, load_config, parser


def options(*arguments: str) -> serve.Namespace:
    return parser().parse_args(arguments)


# Options


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], []),
        (["--port", "0"], ["listeners=PLAINTEXT://localhost:0"]),
        (["--host", "0.0.0.0"], ["listeners=PLAINTEXT://0.0.0.0:9092"]),
        (["--host", "::1", "--port", "1234"], ["listeners=PLAINTEXT://[::1]:1234"]),
        (["--data-dir", "/d"], ["log.dirs=/d"]),
        (["--port", "1", "--set", "a=b", "--set", "c=d"], ["listeners=PLAINTEXT://localhost:1", "a=b", "c=d"]),
    ],
)
def test_options_are_settings_and_set_comes_last(arguments: list[str], expected: list[str]) -> None:
    assert _overrides(options(*arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--port", "65536"], "argument --port: 65536 is not a port, a number from 0 to 65535"),
        (["--port", "-1"], "argument --port: -1 is not a port, a number from 0 to 65535"),
        (["--port", "x"], "argument --port: x is not a port, a number from 0 to 65535"),
        (["--ephemeral", "--data-dir", "d"], "argument --data-dir: not allowed with argument --ephemeral"),
        (["--prot", "1"], "unrecognized arguments: --prot 1"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options(*arguments)
    assert caught.value.code == MISUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pykbroker: {expected}")


def test_set_wins_over_options_over_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "server.properties"
    file.write_text("log.segment.bytes=2000001\nnum.partitions=2\nlog.dirs=/from/file\nnum.io.threads=3\n")
    environ = {"KAFKA_LOG_SEGMENT_BYTES": "2000002", "KAFKA_NUM_PARTITIONS": "4"}
    config = load_config(
        options("--config", str(file), "--set", "log.segment.bytes=2000003", "--data-dir", "/from/option"), environ
    )
    assert config.log_segment_bytes == 2000003
    assert config.num_partitions == 4
    assert config.num_io_threads == 3
    assert config.log_dirs == ["/from/option"]


def test_data_goes_where_the_user_keeps_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/home/me/data")
    assert default_data_directory() == "/home/me/data/pykbroker"
    assert load_config(options(), {}).log_dirs == ["/home/me/data/pykbroker"]
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_data_directory() == "/home/me/.local/share/pykbroker"


def test_a_directory_that_was_chosen_is_kept() -> None:
    assert load_config(options("--set", "log.dir=/chosen"), {}).texts["log.dir"] == "/chosen"
    assert "log.dirs" not in load_config(options("--set", "log.dir=/chosen"), {}).texts


# What it prints


@pytest.mark.parametrize(
    ("host", "line"), [("localhost", "pykbroker ready: localhost:9092\n"), ("::1", "pykbroker ready: [::1]:9092\n")]
)
def test_the_ready_line_is_all_that_a_program_sees(host: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    _announce(load_config(options(), {}), host, 9092)
    assert capsys.readouterr() == (line, "")


def test_a_person_sees_a_banner_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("HOME", "/home/me")
    _announce(load_config(options("--data-dir", "/home/me/d"), {}), "localhost", 9092)
    banner = capsys.readouterr().err
    assert "bootstrap.servers=localhost:9092" in banner
    assert "data in ~/d" in banner


# What keeps it from starting. That it runs and stops: test_run_broker.py


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pykbroker", "serve", "--host", "127.0.0.1", "--log-level", "error", *arguments]


def refused(*arguments: str) -> str:
    """The one line of a broker that does not start."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (MISUSED, "")
    (line,) = done.stderr.splitlines()
    return line


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = refused("--port", str(port), "--ephemeral")
    assert line.startswith(f"pykbroker: 127.0.0.1:{port} is in use by another program")


def test_a_bad_setting_is_one_line() -> None:
    line = refused("--ephemeral", "--port", "0", "--set", "log.segment.bites=1")
    assert line.startswith("pykbroker: --set: unknown setting log.segment.bites=1")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--set", "log.segment.bytes=abc"], "pykbroker: --set: log.segment.bytes=abc: Not a number of type INT"),
        (["--config", "/no/such/file"], "pykbroker: cannot read /no/such/file: No such file or directory"),
    ],
)
def test_other_reasons_are_told_alike(
    arguments: list[str], expected: str, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve.main(["--ephemeral", *arguments]) == MISUSED
    assert capsys.readouterr() == ("", expected + "\n")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was afterwards."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.addLevelName(logging.WARNING, "WARNING")


def test_the_directory_of_a_cluster_is_refused(
    root: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broker-1").mkdir()
    (tmp_path / "broker-1" / "meta.properties").touch()
    assert serve.main(["--data-dir", str(tmp_path), "--port", "0"]) == MISUSED
    assert f"{tmp_path} holds a cluster: start it with --brokers" in capsys.readouterr().err
