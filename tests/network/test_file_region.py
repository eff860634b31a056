"""Regions of segment files: read whole or sent whole; a file that is shorter than promised is an error, not a gap."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest

from pykbroker.network.file_region import FileCutShort, FileRegion, read_region, sendfile_region

DATA = bytes(range(256)) * 40


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[IO[bytes]]:
    path = tmp_path / "00000000000000000000.log"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        yield file


def region(file: IO[bytes], position: int, length: int) -> FileRegion:
    return SimpleNamespace(file=file, position=position, length=length)


@pytest.mark.parametrize(("position", "length"), [(0, len(DATA)), (0, 0), (7, 1), (100, 5000), (len(DATA), 0)])
def test_a_region_is_read_whole(segment: IO[bytes], position: int, length: int) -> None:
    assert read_region(region(segment, position, length)) == DATA[position : position + length]
    assert segment.tell() == 0


def test_a_read_that_stops_early_is_continued(segment: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, position: whole(fd, min(length, 100), position))
    assert read_region(region(segment, 10, 950)) == DATA[10:960]


@pytest.mark.parametrize("position", [len(DATA) - 10, len(DATA) + 10])
def test_a_file_that_ends_too_early_is_told(segment: IO[bytes], position: int) -> None:
    missing = min(20, position + 20 - len(DATA))
    with pytest.raises(FileCutShort, match=f"ends {missing} bytes before the region at {position}"):
        read_region(region(segment, position, 20))


async def never() -> None:
    raise AssertionError("nothing to wait for")


async def test_sendfile_sends_exactly_the_region(
    segment: IO[bytes], socket_pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = socket_pair
    await sendfile_region(ours.fileno(), region(segment, 3, 4000), never)
    ours.close()
    assert theirs.recv(100_000, socket.MSG_WAITALL) == DATA[3:4003]


async def test_sendfile_waits_for_a_full_socket(
    segment: IO[bytes], socket_pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = socket_pair
    ours.setblocking(False)
    filled = 0
    try:
        while True:
            filled += ours.send(bytes(100_000))
    except BlockingIOError:
        pass
    received = bytearray()

    async def drain() -> None:
        received.extend(theirs.recv(filled, socket.MSG_WAITALL))

    await sendfile_region(ours.fileno(), region(segment, 0, len(DATA)), drain)
    ours.close()
    while piece := theirs.recv(1 << 20):
        received.extend(piece)
    assert bytes(received[filled:]) == DATA


async def test_sendfile_tells_of_a_file_that_ends_too_early(
    segment: IO[bytes], socket_pair: tuple[socket.socket, socket.socket]
) -> None:
    with pytest.raises(FileCutShort, match="ends 5 bytes before the end of the region at 100"):
        await sendfile_region(socket_pair[0].fileno(), region(segment, 100, len(DATA) - 95), never)
