"""Loads that run before everything else do so while they last, and only where it is asked for; compiled brokers."""

import os
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from tools.bench import processes
from tools.bench.processes import Broker


@pytest.fixture
def scheduled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(task, policy) as they are set."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda task, policy, _: told.append((task, policy)))
    return told


def test_loads_are_like_others(scheduled: list[tuple[int, int]]) -> None:
    with Broker(os.getpid(), "localhost:1", 0).ahead():
        pass
    assert not scheduled


def test_loads_ahead_of_others(scheduled: list[tuple[int, int]]) -> None:
    broker = Broker(os.getpid(), "localhost:1", 0)
    broker.realtime = True
    with broker.ahead():
        assert {policy for _, policy in scheduled} == {os.SCHED_RR}
        assert {0, os.getpid()} <= {task for task, _ in scheduled}
        scheduled.clear()
    assert {policy for _, policy in scheduled} == {os.SCHED_OTHER}
    assert {0, os.getpid()} <= {task for task, _ in scheduled}


def test_an_address() -> None:
    assert Broker(1, "localhost:9092", 0).address == ("localhost", 9092)


def test_brokers_start_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = tmp_path / "pykbroker" / "module.py"
    module.parent.mkdir()
    module.write_text("A = 1\n")
    processes.compile_pykbroker()
    assert Path(cache_from_source(str(module))).exists()
    module.with_name("broken.py").write_text("A =\n")
    with pytest.raises(RuntimeError):
        processes.compile_pykbroker()
