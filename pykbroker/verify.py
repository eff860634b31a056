"""Invariants that cost too much for production: checked only when PYKBROKER_VERIFY is set (our tests set it)."""

import os
from logging import Logger

ENABLED = bool(os.environ.get("PYKBROKER_VERIFY"))


def check(condition: bool, what: str) -> None:
    """Raises AssertionError when verification is on and `condition` is false: a bug of ours, never of a client."""
    if ENABLED and not condition:
        raise AssertionError(f"invariant broken: {what}")


def report_unforeseen(logger: Logger, what: str, *arguments: object) -> None:
    """In an except clause: a bug of ours, from which the broker goes on, is logged with its traceback. When
    verification is on it is raised again."""
    logger.exception(what, *arguments)
    if ENABLED:
        raise
