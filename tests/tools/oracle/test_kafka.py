"""The command line of the oracle: what works without a JVM."""

import argparse
import json
import os
from pathlib import Path

import pytest

from tools.oracle import kafka


def test_options_of_up() -> None:
    options = kafka.parser().parse_args(["up", "me", "--port", "0", "--set", "a=b", "c=d=e", "--brokers", "3"])
    assert options.function is kafka.up
    assert (options.name, options.port, options.set, options.brokers) == ("me", 0, ["a=b", "c=d=e"], 3)


def test_a_tool_takes_all_that_follows() -> None:
    options = kafka.parser().parse_args(["tool", "some.Class", "--files", "x", "--print-data-log"])
    assert options.name == "some.Class"
    assert options.arguments == ["--files", "x", "--print-data-log"]


def test_down_leaves_a_foreign_process_with_an_old_pid_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "RUN", tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "pids").write_text(json.dumps([os.getpid()]))
    kafka.down(argparse.Namespace(name="old"))
    assert not (tmp_path / "old" / "pids").exists()
