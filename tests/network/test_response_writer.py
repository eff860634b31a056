"""ResponseWriter: bytes leave in order, joined where that is cheap, whatever the socket takes at a time."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

from pykbroker.network.file_region import SENDFILE_FROM, FileRegion, read_region
from pykbroker.network.response_writer import CHUNK, ResponseWriter


class Socket:
    """Takes `takes` bytes at a time; full after each `until_full` bytes until somebody waits."""

    def __init__(self, takes: int = 1 << 30, until_full: int = 1 << 30) -> None:
        self.takes = takes
        self.until_full = until_full
        self.room = until_full
        self.sent = bytearray()
        self.calls: list[int] = []
        self.waits = 0

    def send(self, data: Any, flags: int = 0) -> int:
        if not self.room:
            raise BlockingIOError
        count = min(len(data), self.takes, self.room)
        self.sent += data[:count]
        self.calls.append(count)
        self.room -= count
        return count

    async def wait_writable(self) -> None:
        self.waits += 1
        self.room = self.until_full

    async def send_region(self, region: FileRegion) -> None:
        self.calls.append(region.length)
        self.sent += read_region(region)


def writer_on(socket: Socket) -> ResponseWriter:
    return ResponseWriter(socket)  # type: ignore[arg-type]


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[IO[bytes]]:
    path = tmp_path / "segment"
    path.write_bytes(os.urandom(4 * SENDFILE_FROM))
    with path.open("rb") as file:
        yield file


def region(file: IO[bytes], position: int, length: int) -> Any:
    return SimpleNamespace(file=file, position=position, length=length)


async def test_the_answers_of_a_burst_leave_in_one_send() -> None:
    socket = Socket()
    writer = writer_on(socket)
    for part in (b"ab", bytearray(b"cd"), memoryview(b"ef")):
        writer.add(part)
    assert writer.size == 6
    assert writer.try_flush()
    assert (socket.sent, socket.calls, writer.size) == (b"abcdef", [6], 0)


async def test_nothing_to_send_is_no_send() -> None:
    socket = Socket()
    assert writer_on(socket).try_flush()
    await writer_on(socket).flush()
    assert socket.calls == []


async def test_what_did_not_leave_waits_in_its_order() -> None:
    socket = Socket(until_full=4)
    writer = writer_on(socket)
    writer.add(b"abcdef")
    assert not writer.try_flush()
    assert writer.size == 2
    assert not writer.try_flush()
    assert writer.size == 2
    writer.add(b"gh")
    await writer.flush()
    assert (socket.sent, writer.size) == (b"abcdefgh", 0)
    assert socket.waits == 1


@pytest.mark.parametrize("takes", [1, 3, 1000])
async def test_a_slow_socket_gets_every_byte_once(takes: int) -> None:
    socket = Socket(takes, until_full=7)
    writer = writer_on(socket)
    parts = [bytes([number]) * number for number in range(1, 20)]
    for part in parts:
        writer.add(part)
    await writer.flush()
    assert socket.sent == b"".join(parts)


async def test_small_regions_leave_with_what_is_around_them(segment: IO[bytes]) -> None:
    socket = Socket()
    writer = writer_on(socket)
    small = region(segment, 10, SENDFILE_FROM - 1)
    writer.add_parts([b"head", small, b"tail"], 8 + small.length)
    assert not writer.try_flush()
    await writer.flush()
    assert socket.sent == b"head" + read_region(small) + b"tail"
    assert len(socket.calls) == 1


async def test_large_regions_leave_by_sendfile_between_their_headers(segment: IO[bytes]) -> None:
    socket = Socket()
    writer = writer_on(socket)
    first, second = region(segment, 0, SENDFILE_FROM), region(segment, 50, 2 * SENDFILE_FROM)
    parts = [b"one", first, b"two", b"three", second, b"four"]
    writer.add_parts(parts, 3 + 3 + 5 + 4 + first.length + second.length)
    await writer.flush()
    assert socket.sent == b"one" + read_region(first) + b"twothree" + read_region(second) + b"four"
    assert socket.calls == [3, first.length, 8, second.length, 4]


async def test_what_is_joined_is_bounded(segment: IO[bytes]) -> None:
    socket = Socket()
    writer = writer_on(socket)
    small = region(segment, 0, SENDFILE_FROM - 1)
    count = 4 * CHUNK // small.length
    writer.add_parts([small] * count, count * small.length)
    await writer.flush()
    assert socket.sent == read_region(small) * count
    assert max(socket.calls) < CHUNK + SENDFILE_FROM
    assert writer.size == 0


async def test_a_lost_connection_is_the_callers() -> None:
    class Lost(Socket):
        def send(self, data: Any, flags: int = 0) -> int:
            raise ConnectionResetError

    writer = writer_on(Lost())
    writer.add(b"x")
    with pytest.raises(ConnectionResetError):
        writer.try_flush()
    with pytest.raises(ConnectionResetError):
        await writer.flush()
