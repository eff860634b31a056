"""Bytes of answers that clients do not read, of all connections together: bounded. Sans-I/O.

A small question may have an answer of many megabytes. One that does not leave at once is counted here until it has
left; above the limit, whoever has read nothing for longest is given up. (Kafka has no such bound.)
"""

import logging
from typing import Protocol

LOG = logging.getLogger("pykbroker.network")
DEFAULT_LIMIT = 256 * 1024 * 1024


class Reader(Protocol):
    """A connection."""

    @property
    def name(self) -> str: ...
    def close(self, why: str) -> None: ...


class UnreadAnswers:
    """`size`: of all answers under way, what lies in files aside."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self.size = 0
        self._held: dict[Reader, int] = {}  # who waits longest comes first

    def add(self, reader: Reader, size: int) -> None:
        """An answer waits for its reader. May close others; a single answer may be as large as it is."""
        self._held[reader] = size
        self.size += size
        while self.size > self.limit and len(self._held) > 1:
            longest = next(iter(self._held))
            self.remove(longest)
            LOG.info("Closed %s: it does not read its answer, and %d bytes wait unread", longest.name, self.size)
            longest.close("it does not read its answer")

    def remove(self, reader: Reader) -> None:
        """It has read everything, or is gone."""
        self.size -= self._held.pop(reader, 0)
