"""From received bytes to whole frames, in as few copies and bytes as possible. Sans-I/O.

A connection borrows a buffer while it runs and gives it back when it sleeps: what a sleeping connection holds is at
most four times what has arrived, whatever its frame announces. Frames larger than the buffer are received straight into
one that grows fourfold with the bytes that came; who has sent a large frame gets a large buffer at once.
Kafka: NetworkReceive (which allocates what the client announces).
"""

from struct import Struct

from pykbroker.errors import MalformedFrame
from pykbroker.network.buffer_pool import SMALL, BufferPool, capacity_for
from pykbroker.network.memory_budget import Claim, MemoryBudget
from pykbroker.verify import ENABLED as VERIFY

_INT32 = Struct(">i")
_NEXT_TO_NOTHING = 16 * 1024  # a partial frame up to this size is copied aside while its connection sleeps
_GROWTH = 4
LEARNED_LIMIT = 2 * 1024 * 1024  # the largest buffer that a connection gets before its bytes have come


class FrameTooLarge(MalformedFrame):
    """A length prefix that is negative or above socket.request.max.bytes. `size` is what it says."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"frame of {size} bytes (socket.request.max.bytes={limit})")
        self.size = size


class ReceiveBuffer:
    """growth() → claim → grow(); space() → recv_into → received(n); next_frame() until None; settle(); park()."""

    __slots__ = ("_budget", "_claim", "_last_large", "_max_frame", "_pool", "_rest", "_view", "end", "needed", "start")

    def __init__(self, pool: BufferPool, budget: MemoryBudget, claim: Claim, max_frame: int) -> None:
        self._pool = pool
        self._budget = budget
        self._claim = claim
        self._max_frame = max_frame
        self._view: memoryview | None = None
        self._rest = b""
        self._last_large = 0  # length of the last large frame, prefix included: the next one will be like it
        self.start = 0
        self.end = 0
        self.needed = 0  # length of the incomplete frame at `start` with its prefix, 0: not known yet

    @property
    def pending(self) -> int:
        """Bytes of an incomplete frame that have arrived."""
        return len(self._rest) if self._view is None else self.end - self.start

    def peek(self) -> memoryview | bytes:
        """The bytes of the incomplete frame that have arrived, with its prefix."""
        return self._rest if self._view is None else self._view[self.start : self.end]

    def growth(self) -> int:
        """Bytes to claim from the budget before the buffer may grow; 0: there is space to receive into."""
        if self._view is None or self.end < len(self._view):
            return 0
        return self._next_capacity() - self._claim.held

    def grow(self) -> None:
        """After growth() was granted: a larger buffer with the bytes of the incomplete frame."""
        self._swap(self._pool.take(self._next_capacity()))

    def space(self, now: float) -> memoryview:
        """Where to receive: up to the end of a large frame, else as much as the buffer holds."""
        view = self._view
        if view is None:
            view = self._open(now)
        end = self.end
        if self.needed > SMALL:
            return view[end : self.start + self.needed]
        if self._last_large and len(view) > SMALL:
            return view[end : max(self._last_large, end + SMALL)]  # not much of the frame after this one
        return view[end:] if end else view

    def received(self, count: int) -> None:
        self.end += count

    def next_frame(self) -> memoryview | None:
        """The next whole frame without its prefix, or None. Raises FrameTooLarge."""
        view = self._view
        if view is None:
            return None
        start = self.start
        available = self.end - start
        if available < 4:
            self.needed = 0
            return None
        size = _INT32.unpack_from(view, start)[0]
        if size < 0 or size > self._max_frame:
            raise FrameTooLarge(size, self._max_frame)
        stop = start + 4 + size
        if stop > self.end:
            self.needed = 4 + size
            return None
        self.start = stop
        self.needed = 0
        if size > SMALL:
            self._last_large = size + 4 if size < LEARNED_LIMIT else 0
        return view[start + 4 : stop]

    def lend_back(self, now: float) -> None:
        """All frames taken so far are done with, but not answered yet: holds on to no more than what follows them."""
        left = self.end - self.start
        if not left:
            self.settle(now)
        elif left <= _NEXT_TO_NOTHING:
            self._swap(memoryview(bytearray(left)))

    def settle(self, now: float) -> None:
        """All whole frames have been handled and answered: makes room, or gives the buffer back."""
        view = self._view
        if view is None:
            return
        left = self.end - self.start
        if VERIFY:
            view[: self.start] = b"\xdd" * self.start  # who kept a view of a handled frame shall notice
        if left:
            if len(view) < SMALL:
                self._swap(self._pool.take(SMALL))
            elif self.start:
                view[:left] = view[self.start : self.end]
                self.start = 0
                self.end = left
        else:
            self._view = None
            self.start = self.end = 0
            self._pool.give(view)
            if self._claim.held:
                self._budget.release(self._claim, now)

    def park(self, now: float) -> None:
        """Before the connection sleeps in the middle of a frame: holds on to no more than has arrived, and says so."""
        view = self._view
        if view is None:
            return
        left = self.end - self.start
        if left > _NEXT_TO_NOTHING:
            self._budget.hold(self._claim, len(view), now)
            return
        self._rest = bytes(view[self.start : self.end])
        self._view = None
        self.start = self.end = 0
        self._pool.give(view)
        self._budget.hold(self._claim, left, now)

    def close(self, now: float) -> None:
        if self._view is not None:
            self._pool.give(self._view)
            self._view = None
        self._rest = b""
        self._budget.release(self._claim, now)

    def _open(self, now: float) -> memoryview:
        capacity = SMALL
        if self._last_large and self._budget.has_room(learned := capacity_for(self._last_large)):
            capacity = learned
            self._budget.hold(self._claim, capacity, now)
        elif self._claim.held:
            self._budget.hold(self._claim, 0, now)
        self._view = view = self._pool.take(capacity)
        rest = self._rest
        if rest:
            view[: len(rest)] = rest
            self.end = len(rest)
            self._rest = b""
        return view

    def _swap(self, new: memoryview) -> None:
        old = self._view
        assert old is not None
        left = self.end - self.start
        new[:left] = old[self.start : self.end]
        self._view, self.start, self.end = new, 0, left
        self._pool.give(old)

    def _next_capacity(self) -> int:
        assert self._view is not None
        return capacity_for(min(self.needed, len(self._view) * _GROWTH))
