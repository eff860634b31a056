"""Answers of a burst → one send where possible; file regions in between. Bounded: what waits is at most a chunk."""

import socket
from collections.abc import Sequence

from pykbroker.network.file_region import SENDFILE_FROM, read_region
from pykbroker.network.transport import Bytes, Part, Transport

CHUNK = 128 * 1024  # joined small parts leave at this size
BYTES = (bytes, bytearray, memoryview)
_MSG_MORE = getattr(socket, "MSG_MORE", 0)


class ResponseWriter:
    """Collects the parts of answers and sends them in order. One task writes; nothing is sent behind its back."""

    __slots__ = ("_parts", "_transport", "size")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._parts: list[Part] = []
        # Bytes that wait to be sent, file regions included.
        self.size = 0

    @property
    def held(self) -> int:
        """Bytes of them that lie in memory."""
        return sum(len(part) for part in self._parts if isinstance(part, BYTES))

    def add(self, part: Bytes) -> None:
        self._parts.append(part)
        self.size += len(part)

    def add_parts(self, parts: Sequence[Part], size: int) -> None:
        self._parts += parts
        self.size += size

    def try_flush(self) -> bool:
        """Sends what leaves at once without waiting, unless file regions are among it; True: nothing is left."""
        parts = self._parts
        if not parts:
            return True
        if len(parts) == 1 and isinstance(parts[0], BYTES):
            data: Bytes = parts[0]
        else:
            gathered = [part for part in parts if isinstance(part, BYTES)]
            if len(gathered) != len(parts):
                return False
            data = b"".join(gathered)
        try:
            sent = self._transport.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            parts.clear()
            self.size = 0
            return True
        self._parts = [memoryview(data)[sent:]]
        self.size -= sent
        return False

    async def flush(self) -> None:
        """Sends everything; waits for the client as long as it takes. Raises OSError, trio.ClosedResourceError."""
        if self.try_flush():
            return
        parts, self._parts, self.size = self._parts, [], 0
        gathered: list[Bytes] = []
        size = 0
        for part in parts:
            if isinstance(part, BYTES):
                gathered.append(part)
                size += len(part)
            elif part.length < SENDFILE_FROM:
                gathered.append(read_region(part))
                size += part.length
            else:
                if gathered:
                    await self._send(gathered, _MSG_MORE)
                    gathered, size = [], 0
                await self._transport.send_region(part)
                continue
            if size >= CHUNK:
                await self._send(gathered, 0)
                gathered, size = [], 0
        if gathered:
            await self._send(gathered, 0)

    async def _send(self, gathered: list[Bytes], flags: int) -> None:
        data: Bytes = gathered[0] if len(gathered) == 1 else b"".join(gathered)
        while True:
            try:
                sent = self._transport.send(data, flags)
            except BlockingIOError:
                await self._transport.wait_writable()
                continue
            if sent == len(data):
                return
            data = memoryview(data)[sent:]
