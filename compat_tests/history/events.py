"""What clients did and heard, as one history: the input of `checker`. All times are numbers of the history's own clock.

A process is one client object: what it does is in order, and what it forgets dies with it.
"""

import json
import threading
from collections.abc import Mapping
from enum import Enum
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

Partition = tuple[str, int]
Offsets = Mapping[Partition, int]
NOWHERE: Offsets = MappingProxyType({})


class Outcome(Enum):
    """Of a send: acknowledged or not. Of a transaction: OK is committed, FAILED aborted or never asked to commit."""

    OK = "ok"
    FAILED = "failed"  # surely it did not happen
    UNKNOWN = "unknown"


class Record(NamedTuple):
    """`value` is sent once. `offset` is None where nobody said it."""

    partition: Partition
    value: str
    offset: int | None = None


class Sent(NamedTuple):
    """One record outside of transactions."""

    process: str
    invoked: int
    completed: int
    record: Record
    outcome: Outcome


class Transaction(NamedTuple):
    """`ending`: when its commit was asked for, None if never. `polled`: what it was made of, by `group`."""

    process: str
    invoked: int
    completed: int
    sent: tuple[Record, ...]
    outcome: Outcome
    ending: int | None
    polled: tuple[Record, ...] = ()
    group: str = ""
    offsets: Offsets = NOWHERE


class Polled(NamedTuple):
    """`group`: of the consumer, if it subscribed."""

    process: str
    invoked: int
    completed: int
    records: tuple[Record, ...]
    read_committed: bool = True
    group: str = ""


class Positioned(NamedTuple):
    """From here on the process reads these partitions alone; from an offset, or None: from wherever it is told to."""

    process: str
    completed: int
    offsets: Mapping[Partition, int | None]


class ReadToEnd(NamedTuple):
    """The process has polled this partition from its start to its end after everybody else had finished."""

    process: str
    partition: Partition
    read_committed: bool


class OffsetsCommitted(NamedTuple):
    """The positions of a group, outside of transactions."""

    process: str
    invoked: int
    completed: int
    group: str
    offsets: Offsets
    outcome: Outcome


class OffsetsFetched(NamedTuple):
    process: str
    invoked: int
    completed: int
    group: str
    offsets: Offsets


class Refused(NamedTuple):
    """What a broker may never say, like OFFSET_OUT_OF_RANGE to who goes on where it was."""

    process: str
    what: str


Event = Sent | Transaction | Polled | Positioned | ReadToEnd | OffsetsCommitted | OffsetsFetched | Refused


class History:
    """Written by many threads; in the order of completion."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._numbers = count(1)
        self._lock = threading.Lock()

    def now(self) -> int:
        return next(self._numbers)

    def add(self, event: Event) -> None:
        with self._lock:
            self.events.append(event)

    def write(self, path: Path) -> None:
        """A line for each event, for people."""
        with path.open("w") as file:
            for event in self.events:
                print(type(event).__name__, json.dumps(event._asdict(), default=str, skipkeys=True), file=file)
