"""One fetcher at its leader: the connection, and the order of request and answer. (ReplicaFetcherThread.doWork)"""

from collections.abc import Callable
from logging import getLogger
from typing import TYPE_CHECKING, Protocol

import trio

from pykbroker.errors import MalformedFrame, NodeUnreachable
from pykbroker.ids import Endpoint
from pykbroker.protocol.lookup import response_class
from pykbroker.replica.fetcher import Asked, Fetcher

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

logger = getLogger(__name__)


class Channel(Protocol):
    """What this loop needs of a NodeChannel."""

    async def send_frame(self, api_key: int, version: int, body: bytes, *, timeout: float) -> memoryview:
        """Raises NodeUnreachable, MalformedFrame."""

    def close(self) -> None: ...


class FetcherLoop:
    """`where` tells how the leader is reached now, None: not at all."""

    def __init__(
        self,
        fetcher: Fetcher,
        where: "Callable[[int], Endpoint | None]",
        connect: "Callable[[Endpoint, str], Channel]",
        node_id: int,
    ) -> None:
        self._fetcher = fetcher
        self._where = where
        self._connect = connect
        self._client_id = f"broker-{node_id}-fetcher-{fetcher.fetcher_id}"
        self._endpoint: Endpoint | None = None
        self._channel: Channel | None = None
        self._wake = trio.Event()

    async def run(self) -> None:
        """Until the fetcher is closed, or cancelled."""
        self._fetcher.on_work = self._on_work
        try:
            while not self._fetcher.is_closed:
                await self._step()
        finally:
            self._close()

    def _on_work(self) -> None:
        self._wake.set()
        if self._fetcher.is_closed:
            self._close()  # a request under way ends at once

    async def _step(self) -> None:
        fetcher = self._fetcher
        self._wake = trio.Event()
        asked = fetcher.next_request(trio.current_time())
        if asked is None:
            with trio.move_on_at(fetcher.next_time(trio.current_time())):
                await self._wake.wait()
            return
        try:
            response = await self._ask(asked)
        except (NodeUnreachable, MalformedFrame) as error:
            fetcher.on_failure(error, trio.current_time())
        else:
            fetcher.on_response(response, trio.current_time())
        await trio.lowlevel.checkpoint()  # a full answer every time must not starve the others

    async def _ask(self, asked: Asked) -> "Message":
        """Raises NodeUnreachable, MalformedFrame."""
        body = bytes(asked.request.encode(asked.version))
        answer = await self._connected().send_frame(asked.api_key, asked.version, body, timeout=asked.timeout)
        # Its records stay views of the channel's buffer: they are in the log before the next request.
        return response_class(asked.api_key).decode(answer, asked.version)[0]

    def _connected(self) -> Channel:
        """To where the leader is now: it may have come back elsewhere. Raises NodeUnreachable."""
        endpoint = self._where(self._fetcher.leader_id)
        if endpoint is None:
            raise NodeUnreachable(f"broker {self._fetcher.leader_id} is not registered with the listener of brokers")
        if self._channel is None or endpoint != self._endpoint:
            self._close()
            logger.info("%s fetches from broker %d at %s:%d", self._client_id, self._fetcher.leader_id, *endpoint[-2:])
            self._endpoint = endpoint
            self._channel = self._connect(endpoint, self._client_id)
        return self._channel

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
