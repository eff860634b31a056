"""The client's side of a connection to another node: one request after the other, their responses in one buffer.

Serialized, not pipelined, as Kafka's channels between nodes (max.in.flight 1): who needs two long requests at once
opens two channels. Kafka: NetworkClient, InterBrokerSendThread; TLS and SASL fit into `open_transport`.
"""

import os
import socket
from collections.abc import Mapping
from struct import Struct
from typing import Final

import trio

from pykbroker import __version__
from pykbroker.errors import MalformedFrame, NodeUnreachable
from pykbroker.ids import Endpoint
from pykbroker.network.transport import PlainTransport, Transport
from pykbroker.protocol.apis import API_TABLE, ApiKey
from pykbroker.protocol.headers import decode_response_header, encode_request_header
from pykbroker.protocol.lookup import error_of, response_class
from pykbroker.protocol.message import Message
from pykbroker.verify import ENABLED as VERIFY

MAX_RESPONSE: Final = 100 * 1024 * 1024
SMALL: Final = 16 * 1024
# A buffer larger than this is kept only while its responses fill a good part of it.
_LARGE: Final = 1 << 20
_INT32: Final = Struct(">i")


class SocketChannel:
    """Implements request.NodeChannel over TCP."""

    def __init__(self, where: Endpoint | tuple[str, int], client_id: str, max_response: int = MAX_RESPONSE) -> None:
        """`max_response`: the longest response accepted, in bytes."""
        self.host, self.port = where[-2:]
        self._client_id = client_id
        self._max_response = max_response
        self._turn = trio.Lock()
        self._transport: Transport | None = None
        self._scope = trio.CancelScope()  # of the request under way
        self._is_closing = False
        self._correlation_id = 0
        self._buffer = memoryview(bytearray(SMALL))
        self._versions: Mapping[int, tuple[int, int]] | None = None

    def __repr__(self) -> str:
        return f"<SocketChannel {self._client_id} to {self}>"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    # What others call (request.NodeChannel)

    async def send(self, api_key: int, version: int, request: Message, *, timeout: float) -> Message:
        async with self._turn:
            return await self._exchange(api_key, version, request.encode(version), timeout)

    async def send_frame(self, api_key: int, version: int, body: bytes, *, timeout: float) -> memoryview:
        try:
            self._turn.acquire_nowait()  # a fetcher has its channel for itself: no trip through the scheduler
        except trio.WouldBlock:
            await self._turn.acquire()
        try:
            return await self._ask(api_key, version, body, timeout)
        finally:
            self._turn.release()

    async def api_versions(self, *, timeout: float) -> Mapping[int, tuple[int, int]]:
        async with self._turn:
            if self._transport is not None and self._has_ended(self._transport):
                self._drop()
            if self._versions is None:
                self._versions = await self._ask_versions(timeout)
            return self._versions

    def close(self) -> None:
        self._is_closing = True
        self._scope.cancel()
        self._drop()

    # One request

    async def _exchange(self, api_key: int, version: int, body: bytes | bytearray, timeout: float) -> Message:
        answer = bytes(await self._ask(api_key, version, body, timeout))
        try:
            return response_class(api_key).decode(answer, version)[0]
        except MalformedFrame:
            self._drop()
            raise

    async def _ask(self, api_key: int, version: int, body: bytes | bytearray, timeout: float) -> memoryview:
        self._is_closing = False
        try:
            with trio.CancelScope(deadline=trio.current_time() + timeout) as self._scope:
                transport = await self._connected()
                self._correlation_id = self._correlation_id + 1 & 0x7FFFFFFF
                await _send_all(transport, self._frame(api_key, version, body))
                return self._body(await self._receive(transport), api_key, version)
            raise self._unreachable(f"no answer to {API_TABLE[api_key].name} within {timeout:g} s")
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from error
        except trio.ClosedResourceError:
            raise self._unreachable("closed") from None
        except BaseException:  # cancelled too: the answer that still comes would be taken for the next one's
            self._drop()
            raise

    def _unreachable(self, reason: str) -> NodeUnreachable:
        self._drop()
        what = "the connection was closed by this side" if self._is_closing else reason
        return NodeUnreachable(f"{self.host}:{self.port}: {what}")

    def _frame(self, api_key: int, version: int, body: bytes | bytearray) -> bytearray:
        out = bytearray(4)
        encode_request_header(out, api_key, version, self._correlation_id, self._client_id)
        out += body
        _INT32.pack_into(out, 0, len(out) - 4)
        return out

    def _body(self, answer: memoryview, api_key: int, version: int) -> memoryview:
        """Raises MalformedFrame when it answers another request."""
        correlation_id, position = decode_response_header(answer, api_key, version)
        if correlation_id != self._correlation_id:
            raise MalformedFrame(
                f"{self.host}:{self.port} answers request {correlation_id} when {self._correlation_id} was asked"
            )
        return answer[position:]

    async def _receive(self, transport: Transport) -> memoryview:
        """The next frame without its length, in the buffer. Raises MalformedFrame, OSError."""
        if VERIFY:  # who kept a view of the answer before shall notice
            self._buffer[:] = b"\xdd" * len(self._buffer)
        await transport.wait_readable()
        have = await _receive_at_least(transport, self._buffer, 0, 4)
        size: int = _INT32.unpack_from(self._buffer)[0]
        if not 0 <= size <= self._max_response:
            raise MalformedFrame(f"{self.host}:{self.port} answers with {size} bytes, over {self._max_response}")
        end = 4 + size
        if have > end:
            raise MalformedFrame(f"{self.host}:{self.port} sends {have - end} bytes behind its answer")
        if end > len(self._buffer):
            larger = memoryview(bytearray(end))
            larger[:have] = self._buffer[:have]
            self._buffer = larger
        elif len(self._buffer) > _LARGE and end * 8 < len(self._buffer):
            self._buffer = memoryview(bytearray(self._buffer[: max(end, SMALL)]))
        await _receive_at_least(transport, self._buffer[:end], have, end)
        return self._buffer[4:end]

    async def _ask_versions(self, timeout: float) -> dict[int, tuple[int, int]]:
        from pykbroker.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse

        version = API_TABLE[ApiKey.API_VERSIONS].max_version
        request = ApiVersionsRequest(client_software_name="pykbroker", client_software_version=__version__)
        answer = bytes(await self._ask(ApiKey.API_VERSIONS, version, request.encode(version), timeout))
        if _INT32.size <= len(answer) and answer[:2] == b"\0\x23":
            # Too new for that node, which answers in version 0, whatever was asked (KIP-511).
            answer = bytes(await self._ask(ApiKey.API_VERSIONS, version := 0, b"", timeout))
        try:
            response = ApiVersionsResponse.decode(answer, version)[0]
        except MalformedFrame:
            self._drop()
            raise
        if response.error_code:
            raise self._unreachable(f"ApiVersions is answered {error_of(response.error_code).name}")
        return {row.api_key: (row.min_version, row.max_version) for row in response.api_keys}

    # The connection

    async def _connected(self) -> Transport:
        """The connection, a new one where the other side has closed the old while it was idle. Raises OSError."""
        if self._transport is not None and self._has_ended(self._transport):
            self._drop()
        if self._transport is None:
            self._transport = await open_transport(self.host, self.port)
        return self._transport

    def _has_ended(self, transport: Transport) -> bool:
        """Nothing may come before a request is sent: the end, or what belongs to no request."""
        try:
            transport.recv_into(self._buffer[:1])
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _drop(self) -> None:
        transport, self._transport, self._versions = self._transport, None, None
        if transport is not None:
            transport.close()


def connect(where: Endpoint | tuple[str, int], client_id: str) -> SocketChannel:
    """request.Connect."""
    return SocketChannel(where, client_id)


async def open_transport(host: str, port: int) -> PlainTransport:
    """Connected to the first address of the host that accepts. Raises OSError, of the last address."""
    addresses = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in addresses[:-1]:
        try:
            return await _open_address(family, kind, protocol, address)
        except OSError:
            continue
    family, kind, protocol, _, address = addresses[-1]
    return await _open_address(family, kind, protocol, address)


async def _open_address(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> PlainTransport:
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        try:
            connection.connect(address)
        except BlockingIOError:
            await trio.lowlevel.wait_writable(connection)
            error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error)) from None
        return PlainTransport(connection)
    except BaseException:  # cancelled too: nobody else knows the socket yet
        connection.close()
        raise


async def _send_all(transport: Transport, frame: bytearray) -> None:
    with memoryview(frame) as left:
        sent = 0
        while sent < len(frame):
            try:
                sent += transport.send(left[sent:])
            except BlockingIOError:
                await transport.wait_writable()


async def _receive_at_least(transport: Transport, buffer: memoryview, have: int, wanted: int) -> int:
    """How many bytes there are then: `wanted` or more, as far as the buffer goes. Raises OSError at the end."""
    while have < wanted:
        try:
            count = transport.recv_into(buffer[have:])
        except BlockingIOError:
            await transport.wait_readable()
            continue
        if not count:
            raise ConnectionResetError("the connection was closed by the other side")
        have += count
    return have
