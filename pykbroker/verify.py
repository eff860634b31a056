"""Invariants that cost too much for production: checked only when PYKBROKER_VERIFY is set (our tests set it)."""

import os

ENABLED = bool(os.environ.get("PYKBROKER_VERIFY"))


def check(condition: bool, what: str) -> None:
    """Raises AssertionError when verification is on and `condition` is false: a bug of ours, never of a client."""
    if ENABLED and not condition:
        raise AssertionError(f"invariant broken: {what}")
