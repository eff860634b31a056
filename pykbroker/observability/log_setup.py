"""Log lines on standard error: for people, or one JSON object each. Called once by the command line."""

import logging
import sys
import time
from typing import TextIO

LEVELS = ("debug", "info", "warning", "error")


class HumanFormatter(logging.Formatter):
    """2026-01-31 10:11:12.345 INFO  network: text"""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        where = record.name.removeprefix("pykbroker.")
        line = f"{stamp}.{int(record.msecs):03d} {record.levelname:<5} {where}: {one_line(record.getMessage())}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonFormatter(logging.Formatter):
    """One object per line: time (UTC, RFC 3339), level, logger, message, and exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        import json

        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def one_line(text: str) -> str:
    """Control characters shown, not obeyed: a client's name must not forge a log line."""
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    )


def configure(level: str = "info", *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Sends everything from `level` up to `stream` (standard error). Replaces what an earlier call set."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else HumanFormatter())
    logging.addLevelName(logging.WARNING, "WARN")
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
