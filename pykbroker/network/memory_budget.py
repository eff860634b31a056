"""Bytes of request buffers held by all connections together, bounded before they are read. Sans-I/O. KIP-72.

A connection that needs a larger buffer asks here first and stays unread while it waits: TCP holds its client back.
Progress is certain: the first in the queue may overdraw the limit when nobody else does, so that one frame always
becomes whole; to_close() names the connection to close when even that one does not move (half a frame and silence).
"""

from collections import deque
from collections.abc import Callable

from pykbroker.network.buffer_pool import SMALL
from pykbroker.verify import check

DEFAULT_LIMIT = 256 * 1024 * 1024  # where queued.max.request.bytes says "no limit", as it does by default
PATIENCE = 10.0  # seconds that somebody may wait for memory before the oldest incomplete frame is given up


class Claim:
    """What one connection holds of the budget, and since when (seconds) its incomplete frame is under way."""

    __slots__ = ("held", "since", "waiting_for", "waiting_since", "wake")

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        """`wake` is called once when a claim that take() queued has got its bytes; it must not call the budget.

        Whoever waits may set it as late as after take().
        """
        self.held = 0
        self.since = 0.0
        self.waiting_for = 0
        self.waiting_since = 0.0
        self.wake = wake


class MemoryBudget:
    """All claims together stay within `limit` bytes, but for one claim that may overdraw it, and for hold()."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self.used = 0
        self._holders: set[Claim] = set()
        self._queue: deque[Claim] = deque()
        self._overdrawn: Claim | None = None

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def has_room(self, size: int) -> bool:
        return not self._queue and self.used + size <= self.limit

    def take(self, claim: Claim, size: int, now: float) -> bool:
        """Gives `size` more bytes to the claim now (True), or queues it until wake() tells that it has them (False)."""
        check(claim.waiting_for == 0, "a claim waits for one grant at a time")
        if self.has_room(size) or self._overdrawn is claim:  # who may overdraw goes on until its frame is whole
            self._grant(claim, size, now)
            return True
        claim.waiting_for = size
        claim.waiting_since = now
        self._queue.append(claim)
        self._serve_queue(now, asking=claim)
        return claim.waiting_for == 0

    def hold(self, claim: Claim, size: int, now: float) -> None:
        """Sets what the claim holds to `size` bytes that are there already: a small partial frame never waits."""
        difference = size - claim.held
        if difference > 0:
            self._grant(claim, difference, now)
        elif difference:
            self.used += difference
            claim.held = size
            self._after_shrinking(claim, now)

    def release(self, claim: Claim, now: float) -> None:
        """The claim gives everything back and leaves the queue."""
        if claim.waiting_for:
            self._queue.remove(claim)
            claim.waiting_for = 0
        self.used -= claim.held
        claim.held = 0
        self._after_shrinking(claim, now)

    def to_close(self, now: float) -> Claim | None:
        """The claim that must give up its frame, because others have waited longer than PATIENCE; None: all is well."""
        if not self._queue or now - self._queue[0].waiting_since < PATIENCE:
            return None
        large = (claim for claim in self._holders if claim.held > SMALL and now - claim.since >= PATIENCE)
        return min(large, key=lambda claim: claim.since, default=None)

    def _grant(self, claim: Claim, size: int, now: float) -> None:
        if not claim.held:
            claim.since = now
            self._holders.add(claim)
        self.used += size
        claim.held += size

    def _after_shrinking(self, claim: Claim, now: float) -> None:
        if not claim.held:
            self._holders.discard(claim)
        if self._overdrawn is claim and (not claim.held or self.used <= self.limit):
            self._overdrawn = None
        if self._queue:
            self._serve_queue(now)

    def _serve_queue(self, now: float, asking: Claim | None = None) -> None:
        while self._queue:
            claim = self._queue[0]
            if self.used + claim.waiting_for > self.limit:
                if self._overdrawn is not None and self._overdrawn is not claim:
                    return
                self._overdrawn = claim
            self._queue.popleft()
            self._grant(claim, claim.waiting_for, now)
            claim.waiting_for = 0
            if claim is not asking and claim.wake is not None:
                claim.wake()
