"""FrameReader: feed bytes as they come, take whole frames. For clients, tools and tests; the server's connection has
its own buffer, by the same rules (NetworkReceive; socket.request.max.bytes)."""

from pykbroker.errors import MalformedFrame

PREFIX = 4


class FrameReader:
    """Cuts a byte stream into frames (without their int32 length). Holds no more than was fed."""

    def __init__(self, max_size: int = 104857600) -> None:
        """`max_size`: the longest frame accepted, in bytes, without the length prefix."""
        self.max_size = max_size
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        self._buffer += data

    def take(self) -> bytes | None:
        """The next whole frame, or None. Raises MalformedFrame for a length that is negative or over the limit, as soon
        as the length is there."""
        buffer = self._buffer
        if len(buffer) < PREFIX:
            return None
        size = int.from_bytes(buffer[:PREFIX], "big", signed=True)
        if not 0 <= size <= self.max_size:
            raise MalformedFrame(f"frame of {size} bytes; 0 to {self.max_size} are accepted", 0)
        end = PREFIX + size
        if len(buffer) < end:
            return None
        with memoryview(buffer) as view:
            frame = bytes(view[PREFIX:end])
        del buffer[:end]
        return frame

    def pending(self) -> int:
        """Bytes fed and not yet taken."""
        return len(self._buffer)


def frame(body: bytes | bytearray) -> bytes:
    """The body behind its length prefix."""
    return len(body).to_bytes(PREFIX, "big", signed=True) + body
