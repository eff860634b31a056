"""Log lines: for people and for machines, one per event whatever a client calls itself."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from pykbroker.observability.log_setup import HumanFormatter, JsonFormatter, configure, one_line


def record(text: str, *arguments: object, level: int = logging.INFO, error: bool = False) -> logging.LogRecord:
    exc_info = None
    if error:
        try:
            raise ValueError("the reason")
        except ValueError:
            exc_info = sys.exc_info()
    made = logging.LogRecord("pykbroker.network", level, "f.py", 1, text, arguments, exc_info)
    made.created, made.msecs = 1_700_000_000.25, 250.0
    return made


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger as it was afterwards: pytest has handlers there."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.addLevelName(logging.WARNING, "WARNING")


def test_a_line_for_people() -> None:
    line = HumanFormatter().format(record("Closed %s", "it"))
    stamp, rest = line[:23], line[23:]
    assert rest == " INFO  network: Closed it"
    assert stamp.endswith(".250")
    assert stamp[:2] == "20"


def test_the_traceback_follows() -> None:
    lines = HumanFormatter().format(record("Failed", error=True)).splitlines()
    assert lines[0].endswith("network: Failed")
    assert lines[1].startswith("Traceback")
    assert lines[-1] == "ValueError: the reason"


def test_a_client_cannot_forge_a_line() -> None:
    line = HumanFormatter().format(record("Closed %s", "x\n2026-01-01 INFO all is well\x1b[2J"))
    assert "\n" not in line
    assert "\x1b" not in line
    assert r"x\n2026-01-01 INFO all is well\x1b[2J" in line


def test_printable_text_stays_as_it_is() -> None:
    assert one_line("grüße, 你好 \\n") == "grüße, 你好 \\n"
    assert one_line("a\tb\u2028c") == r"a\tb\u2028c"


def test_a_line_for_machines() -> None:
    line = JsonFormatter().format(record("Closed %s", "x\ny", level=logging.WARNING, error=True))
    assert "\n" not in line
    entry = json.loads(line)
    assert entry.pop("exception").endswith("ValueError: the reason")
    assert entry == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "pykbroker.network",
        "message": "Closed x\ny",
    }


def test_configuring_twice_writes_once(root: logging.Logger) -> None:
    stream = io.StringIO()
    configure("debug", stream=io.StringIO())
    configure("warning", as_json=True, stream=stream)
    logging.getLogger("pykbroker.x").info("not this")
    logging.getLogger("pykbroker.x").warning("but this")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["message"] == "but this"
    assert len(root.handlers) == 1
