"""What a fuzzer found: an input and what it broke. Limits that make silent harm visible."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

STALL = 1.0  # CPU seconds that one small input may hold the loop
SHOWN = 65_536  # bytes of an input that are printed


class Finding(NamedTuple):
    target: str
    what: str
    data: bytes

    def __str__(self) -> str:
        return json.dumps({"target": self.target, "what": self.what, "hex": self.data[:SHOWN].hex()})


class Stall(Exception):
    """An input took longer than STALL."""


@contextmanager
def stopwatch(what: str) -> Iterator[None]:
    """Raises Stall. CPU time: a busy machine is nobody's fault."""
    start = time.thread_time()
    yield
    seconds = time.thread_time() - start
    if seconds > STALL:
        raise Stall(f"{what} took {seconds:.1f} s")


def limit_memory(mebibytes: int) -> None:
    """From now on the address space may grow by this much, no more: what exceeds it is a MemoryError, a finding."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + mebibytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
