"""A bar on a terminal, and silence elsewhere."""

import io

import pytest

from pykbroker.cli import progress
from pykbroker.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_it_grows_and_goes(time: list[float]) -> None:
    terminal = Terminal()
    bar = Progress(4 << 20, terminal)
    bar.add(1 << 20)
    assert terminal.getvalue() == "\r[#######.......................]  25%  1 of 4 MiB "
    bar.add(1 << 20)
    time[0] += 1
    bar.add(2 << 20)
    assert terminal.getvalue().endswith(f"\r[{'#' * 30}] 100%  4 of 4 MiB ")
    assert terminal.getvalue().count("\r") == 2  # not more often than a person sees
    bar.clear()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_nothing_without_a_terminal(time: list[float]) -> None:
    stream = io.StringIO()
    bar = Progress(0, stream)
    bar.add(5)
    bar.clear()
    assert stream.getvalue() == ""


def test_an_empty_directory_is_done() -> None:
    terminal = Terminal()
    Progress(0, terminal).add(0)
    assert "100%" in terminal.getvalue()
