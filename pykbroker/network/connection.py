"""One task per connection: read, dispatch in order, write. Everything a connection holds is given back at its end.

One recv per wake, all its frames handled, one send for all their answers; at most MAX_BURST requests between two
checkpoints, so that nobody starves. An answer that must wait (long poll, rebalance) waits here.
Kafka: KafkaChannel, Processor (SocketServer).
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from pykbroker.clock import Clock
from pykbroker.errors import MalformedFrame
from pykbroker.network.buffer_pool import BufferPool
from pykbroker.network.guess_protocol import guess_protocol
from pykbroker.network.memory_budget import Claim, MemoryBudget
from pykbroker.network.ready_poller import ReadyPoller
from pykbroker.network.receive_buffer import FrameTooLarge, ReceiveBuffer
from pykbroker.network.response_writer import ResponseWriter
from pykbroker.network.transport import Part, Transport
from pykbroker.network.unread_answers import UnreadAnswers
from pykbroker.observability.metrics import NetworkMetrics

LOG = logging.getLogger("pykbroker.network")
MAX_BURST = 8
FLUSH_AT = 256 * 1024  # bytes of answers that may wait for the end of their burst
SLOW = 0.05  # seconds; requests that hold the loop longer are reported

READING, HANDLING, WAITING, WRITING = range(4)


Answer = tuple[Sequence[Part], int]  # a whole response frame, length prefix included, in parts; its size


class Suspended(Protocol):
    """A request that waits for something."""

    @property
    def keeps_frame(self) -> bool:
        """It still needs the bytes of its frame."""

    async def finish(self) -> bytearray | Answer | None:
        """Waits and answers. Raises MalformedFrame."""


class Session(Protocol):
    """What dispatch keeps per connection; `name` says who it is, for log lines."""

    @property
    def name(self) -> str: ...
    @property
    def last_request(self) -> str:
        """API, version and correlation id of the latest request, for log lines."""

    def begin(self, frame: memoryview, received_at: float) -> bytearray | Answer | Suspended | None:
        """The answer, or None for no answer, or Suspended. Raises MalformedFrame: the connection must be closed."""

    def admit(self, start: memoryview, size: int) -> None:
        """Looks at the first bytes (without prefix) of a large frame of `size` bytes. Raises MalformedFrame."""

    def closed(self) -> None:
        """The connection is gone, for whatever reason."""


class SharedState:
    """What all connections of a broker share."""

    __slots__ = ("budget", "clock", "max_frame", "metrics", "on_slow", "poller", "pool", "unread")

    def __init__(
        self, clock: Clock, budget: MemoryBudget, max_frame: int, on_slow: Callable[[str, float], None] | None = None
    ) -> None:
        """`on_slow(who, seconds)` is told of bursts that held the loop longer than SLOW."""
        self.clock = clock
        self.budget = budget
        self.pool = BufferPool()
        self.unread = UnreadAnswers()
        self.max_frame = max_frame
        self.on_slow = on_slow
        self.metrics = NetworkMetrics()
        # Set by who runs it; without one each connection waits by trio.
        self.poller: ReadyPoller | None = None


class Connection:
    """state and last_active (seconds) are for the sweep, which may close() it."""

    __slots__ = (
        "_buffer",
        "_claim",
        "_drained",
        "_scope",
        "_session",
        "_shared",
        "_since_checkpoint",
        "_stayed",
        "_transport",
        "_writer",
        "draining",
        "last_active",
        "state",
        "why_closed",
    )

    def __init__(self, transport: Transport, session: Session, shared: SharedState) -> None:
        self._transport = transport
        self._session = session
        self._shared = shared
        self._claim = Claim()
        self._buffer = ReceiveBuffer(shared.pool, shared.budget, self._claim, shared.max_frame)
        self._writer = ResponseWriter(transport)
        self._scope = trio.CancelScope()
        self._drained = True
        self._since_checkpoint = 0
        self._stayed = True
        self.state = READING
        self.draining = False
        self.last_active = shared.clock.monotonic()
        self.why_closed: str | None = None
        shared.metrics.connections_opened += 1

    @property
    def name(self) -> str:
        return self._session.name

    @property
    def claim(self) -> Claim:
        return self._claim

    def fileno(self) -> int:
        return self._transport.fileno()

    def close(self, why: str) -> None:
        """From another task: ends the connection at once; the answer under way is lost, as Kafka does it."""
        self.why_closed = self.why_closed or why
        self._scope.cancel()

    def drain(self) -> None:
        """From another task: no further requests; ends when the current one is answered, at once when there is none."""
        self.draining = True
        if self.state == READING:
            self.close("shutdown")

    async def run(self) -> None:
        """Serves until the client goes, misbehaves, or close(). Never raises but for cancellation from outside."""
        try:
            with self._scope:
                await self._serve()
        except MalformedFrame as error:
            self._shared.metrics.malformed_frames += 1
            LOG.info("Closed %s: %s", self.name, self._explain(error))
        except (OSError, trio.ClosedResourceError) as error:
            LOG.debug("Lost %s: %s", self.name, error)
        except Exception:
            LOG.exception("Closed %s because of a bug", self.name)
        finally:
            if self._scope.cancelled_caught:
                LOG.debug("Closed %s: %s", self.name, self.why_closed)
            self._buffer.close(self._shared.clock.monotonic())
            self._transport.close()
            self._session.closed()
            self._shared.metrics.connections_closed += 1

    async def _serve(self) -> None:
        while await self._receive():
            await self._answer_frames()
            if self.draining:
                return

    async def _receive(self) -> bool:
        """Some bytes more in the buffer; False: the client closed its side."""
        buffer, transport = self._buffer, self._transport
        if buffer.growth():
            await self._grow()
        while True:
            if self._drained:
                buffer.park(self.last_active)
                await transport.wait_readable()
                self._since_checkpoint = 0
            now = self.last_active = self._shared.clock.monotonic()
            space = buffer.space(now)
            try:
                count = transport.recv_into(space)
            except BlockingIOError:
                self._drained = True
                continue
            self._drained = count < len(space)
            buffer.received(count)
            return count > 0

    async def _grow(self) -> None:
        """A larger buffer for a frame that has outgrown its own; waits for memory, unread."""
        buffer = self._buffer
        self._session.admit(memoryview(buffer.peek())[4:], buffer.needed - 4)
        if not self._shared.budget.take(self._claim, buffer.growth(), self.last_active):
            granted = trio.Event()
            # Not a method of ours, which would keep each connection that has gone until the garbage is collected.
            self._claim.wake = granted.set
            self.state = WAITING
            await granted.wait()
            self.state = READING
        buffer.grow()

    async def _answer_frames(self) -> None:
        buffer, writer, begin = self._buffer, self._writer, self._session.begin
        self._stayed = True
        self.state = HANDLING
        while (frame := buffer.next_frame()) is not None:
            answer = begin(frame, self.last_active)
            if not isinstance(answer, bytearray) and answer is not None and not isinstance(answer, tuple):
                answer = await self._finish(answer)
            if isinstance(answer, bytearray):
                writer.add(answer)
            elif answer is not None:
                writer.add_parts(*answer)
            self._since_checkpoint += 1
            if self._since_checkpoint >= MAX_BURST or writer.size >= FLUSH_AT:
                await self._pause()
        if not writer.try_flush():
            await self._wait_for_reader()
        now = self._shared.clock.monotonic()
        if self._stayed and now - self.last_active > SLOW and self._shared.on_slow is not None:
            self._shared.on_slow(f"{self._session.last_request} of {self.name}", now - self.last_active)
        self.state = READING
        buffer.settle(now)

    async def _finish(self, suspended: Suspended) -> bytearray | Answer | None:
        """Waits for an answer; those before it have left, the buffer too where the request lets go of it."""
        try:
            self._writer.try_flush()
        except OSError:
            pass  # a suspended request must be awaited; the next write fails again
        if not suspended.keeps_frame:
            self._buffer.lend_back(self.last_active)
        self.state = WAITING
        answer = await suspended.finish()
        self.state = HANDLING
        self._left_the_loop()
        return answer

    async def _pause(self) -> None:
        if not self._writer.try_flush():
            await self._wait_for_reader()
        if self._since_checkpoint >= MAX_BURST:
            await trio.lowlevel.checkpoint()
            self._left_the_loop()

    async def _wait_for_reader(self) -> None:
        """Until the rest of the answers has left."""
        self.state = WRITING
        unread = self._shared.unread
        unread.add(self, self._writer.held)
        try:
            await self._writer.flush()
        finally:
            unread.remove(self)
        self.state = HANDLING
        self._left_the_loop()

    def _left_the_loop(self) -> None:
        self._stayed = False
        self._since_checkpoint = 0
        self.last_active = self._shared.clock.monotonic()

    def _explain(self, error: MalformedFrame) -> str:
        if isinstance(error, FrameTooLarge) and (protocol := guess_protocol(bytes(self._buffer.peek()[:8]))):
            return f"it speaks {protocol}, not the Kafka protocol"
        return str(error)
