"""A slice of a segment file as part of a response: sendfile or pread, chosen in one place.

sendfile costs a system call of its own and leaves the bytes in the page cache; pread copies them once but lets them
leave with the headers in one send. The border is measured by tools/bench.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Protocol


class HasFileno(Protocol):
    def fileno(self) -> int: ...


class FileRegion(Protocol):
    """A slice of an open file (log.Region). Holding it keeps the file open."""

    @property
    def file(self) -> HasFileno: ...
    @property
    def position(self) -> int: ...
    @property
    def length(self) -> int: ...


SENDFILE_FROM = 32 * 1024  # bytes; below, the region is read and leaves together with what is around it


class FileCutShort(OSError):
    """A segment file ended before the region that was promised to a client: the connection cannot go on."""


def read_region(region: FileRegion) -> bytes:
    """All bytes of a small region. Raises FileCutShort, OSError."""
    data = os.pread(region.file.fileno(), region.length, region.position)
    if len(data) == region.length:
        return data
    pieces = [data]
    missing = region.length - len(data)
    while missing and data:
        data = os.pread(region.file.fileno(), missing, region.position + region.length - missing)
        pieces.append(data)
        missing -= len(data)
    if missing:
        raise FileCutShort(f"segment file ends {missing} bytes before the region at {region.position}")
    return b"".join(pieces)


async def sendfile_region(socket_fd: int, region: FileRegion, wait_writable: Callable[[], Awaitable[None]]) -> None:
    """Sends a large region from the page cache to a plaintext socket. Raises FileCutShort, OSError."""
    file_fd = region.file.fileno()
    position, left = region.position, region.length
    while left:
        try:
            sent = os.sendfile(socket_fd, file_fd, position, left)
        except BlockingIOError:
            await wait_writable()
            continue
        if not sent:
            raise FileCutShort(f"segment file ends {left} bytes before the end of the region at {region.position}")
        position += sent
        left -= sent
