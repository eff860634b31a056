"""Single requests over a socket, each field as the test wants it: what no stock client would send."""

import socket
from struct import Struct
from typing import Any, Self

from pykbroker.protocol.headers import decode_response_header, encode_request_header
from pykbroker.protocol.lookup import response_class
from pykbroker.protocol.message import Message

_INT32 = Struct(">i")


class ConnectionClosed(Exception):
    """The broker hung up instead of answering."""


class RawClient:
    """One connection. Requests are answered in order, so that several may be sent before the first answer is read."""

    def __init__(self, bootstrap: str, client_id: str | None = "raw") -> None:
        host, port = bootstrap.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client_id = client_id
        self._correlation_id = 0

    def send(self, request: Message, version: int) -> None:
        out = bytearray(4)
        self._correlation_id += 1
        encode_request_header(out, request.API_KEY, version, self._correlation_id, self.client_id)
        request.encode_into(out, version)
        _INT32.pack_into(out, 0, len(out) - 4)
        self.socket.sendall(out)

    def receive(self, api_key: int, version: int) -> Any:
        """Raises ConnectionClosed."""
        (size,) = _INT32.unpack(self._read(4))
        frame = self._read(size)
        _, position = decode_response_header(frame, api_key, version)
        response, end = response_class(api_key).decode(frame, version, position)
        assert end == size, "bytes left behind the response"
        return response

    def ask(self, request: Message, version: int) -> Any:
        """The response. Raises ConnectionClosed."""
        self.send(request, version)
        return self.receive(request.API_KEY, version)

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                piece = self.socket.recv(size - len(data))
            except ConnectionError as error:
                raise ConnectionClosed(str(error)) from error
            if not piece:
                raise ConnectionClosed(f"after {len(data)} of {size} bytes")
            data += piece
        return bytes(data)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
