"""ReceiveBuffer: any split of any frames gives the same frames, and little memory is held for little that came."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykbroker.network.buffer_pool import SMALL, BufferPool, capacity_for
from pykbroker.network.memory_budget import Claim, MemoryBudget
from pykbroker.network.receive_buffer import FrameTooLarge, ReceiveBuffer


class Receiver:
    """Drives a ReceiveBuffer as a connection does, with bytes instead of a socket."""

    def __init__(self, max_frame: int = 1 << 30) -> None:
        self.budget = MemoryBudget(1 << 40)
        self.pool = BufferPool()
        self.claim = Claim(lambda: None)
        self.buffer = ReceiveBuffer(self.pool, self.budget, self.claim, max_frame)
        self.frames: list[bytes] = []

    def feed(self, data: bytes, *, park: bool = False) -> None:
        while data:
            if park:
                self.buffer.park(0.0)
            if extra := self.buffer.growth():
                assert self.budget.take(self.claim, extra, 0.0)
                self.buffer.grow()
            space = self.buffer.space(0.0)
            count = min(len(space), len(data))
            assert count
            space[:count] = data[:count]
            data = data[count:]
            self.buffer.received(count)
            while (frame := self.buffer.next_frame()) is not None:
                self.frames.append(bytes(frame))
            self.buffer.settle(0.0)


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


SIZES = [0, 1, 10, 5_000, SMALL - 4, SMALL, SMALL + 1, 300_000]


def cut_of(byte: int) -> int:
    """One byte and up to 200 kB, with all of the small ones."""
    return byte + 1 if byte < 128 else (byte - 127) ** 2 * 12


# A byte string is one choice of Hypothesis, a list one per element: those took too long on a busy machine.
@given(picks=st.binary(max_size=6), cut_picks=st.binary(min_size=1, max_size=10), park=st.booleans())
def test_any_split_gives_the_same_frames(picks: bytes, cut_picks: bytes, park: bool) -> None:
    cuts = [cut_of(byte) for byte in cut_picks]
    bodies = [bytes([index + 1]) * SIZES[byte % len(SIZES)] for index, byte in enumerate(picks)]
    stream = b"".join(map(framed, bodies))
    receiver = Receiver()
    position = 0
    index = 0
    while position < len(stream):
        cut = cuts[index % len(cuts)] if index < 200 else 100_000
        piece = stream[position : position + cut]
        index += 1
        receiver.feed(piece, park=park)
        position += len(piece)
    assert receiver.frames == bodies
    assert receiver.buffer.pending == 0
    receiver.buffer.park(0.0)
    assert receiver.claim.held == 0
    assert receiver.budget.used == 0


def test_byte_by_byte() -> None:
    receiver = Receiver()
    for byte in framed(b"hello") + framed(b"") + framed(b"world"):
        receiver.feed(bytes([byte]), park=True)
    assert receiver.frames == [b"hello", b"", b"world"]


@pytest.mark.parametrize("size", [-1, -(2**31), 101, 2**31 - 1])
def test_impossible_sizes(size: int) -> None:
    receiver = Receiver(max_frame=100)
    with pytest.raises(FrameTooLarge) as caught:
        receiver.feed(struct.pack(">i", size))
    assert caught.value.size == size


def test_an_announcement_costs_nothing() -> None:
    receiver = Receiver()
    receiver.feed(struct.pack(">i", 100 << 20) + b"x" * 1000)
    receiver.buffer.park(0.0)
    assert receiver.claim.held == 1004
    assert receiver.buffer.pending == 1004


def test_a_sleeping_connection_holds_at_most_four_times_what_came() -> None:
    receiver = Receiver()
    receiver.feed(struct.pack(">i", 40 << 20))
    arrived = 4
    piece = b"y" * 50_000
    while arrived < 20 << 20:
        receiver.feed(piece, park=True)
        arrived += len(piece)
        receiver.buffer.park(0.0)
        assert receiver.claim.held <= 4 * arrived
        assert receiver.buffer.pending == arrived


def test_who_sends_large_frames_gets_a_large_buffer_at_once() -> None:
    receiver = Receiver()
    body = b"z" * 1_000_000
    receiver.feed(framed(body))
    space = receiver.buffer.space(0.0)
    assert len(space) == len(body) + 4
    assert receiver.claim.held == capacity_for(len(body))
    receiver.feed(framed(body))
    receiver.feed(framed(b"small"))
    assert [len(frame) for frame in receiver.frames] == [1_000_000, 1_000_000, 5]


def test_lending_back_while_a_request_waits() -> None:
    receiver = Receiver()
    stream = framed(b"first") + framed(b"second") + framed(b"third")[:7]
    space = receiver.buffer.space(0.0)
    space[: len(stream)] = stream
    receiver.buffer.received(len(stream))
    first = receiver.buffer.next_frame()
    assert first is not None
    receiver.buffer.lend_back(0.0)
    assert receiver.pool.free_bytes == SMALL
    second = receiver.buffer.next_frame()
    assert second is not None
    assert bytes(second) == b"second"
    assert receiver.buffer.next_frame() is None
    receiver.buffer.settle(0.0)
    receiver.feed(framed(b"third")[7:])
    assert receiver.frames == [b"third"]
    receiver.buffer.settle(0.0)
    assert receiver.buffer.pending == 0


def test_lending_back_the_last_frame() -> None:
    receiver = Receiver()
    stream = framed(b"only")
    receiver.buffer.space(0.0)[: len(stream)] = stream
    receiver.buffer.received(len(stream))
    assert receiver.buffer.next_frame() is not None
    receiver.buffer.lend_back(0.0)
    assert receiver.buffer.next_frame() is None
    receiver.buffer.settle(0.0)
    receiver.feed(framed(b"next"))
    assert receiver.frames == [b"next"]


def test_close_gives_everything_back() -> None:
    receiver = Receiver()
    receiver.feed(struct.pack(">i", 1 << 20) + b"x" * 300_000, park=True)
    receiver.buffer.park(0.0)
    assert receiver.budget.used
    receiver.buffer.close(0.0)
    assert receiver.budget.used == 0
