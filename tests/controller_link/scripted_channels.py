"""Channels to controllers that answer by a function, in virtual time; for tests of those who ask."""

from collections.abc import Callable, Mapping
from typing import Any

import trio

from pykbroker.errors import NodeUnreachable
from pykbroker.protocol.apis import API_TABLE
from pykbroker.protocol.message import Message

Address = tuple[str, int]


class Controllers:
    """`answer(where, api key, request)` gives a response, None to never answer, or an exception to raise.

    `asked`: (trio's time, where, api key, version, request); `channels`: all that were made.
    """

    def __init__(self, answer: Callable[[Address, int, Any], Message | Exception | None]) -> None:
        self.answer = answer
        self.versions: dict[int, tuple[int, int]] = {
            key: (info.min_version, info.max_version) for key, info in API_TABLE.items()
        }
        self.asked: list[tuple[float, Address, int, int, Any]] = []
        self.channels: list[Channel] = []

    def connect(self, where: Any, client_id: str) -> "Channel":
        self.channels.append(Channel(self, tuple(where[-2:]), client_id))
        return self.channels[-1]


class Channel:
    def __init__(self, controllers: Controllers, where: Address, client_id: str) -> None:
        self.controllers = controllers
        self.where = where
        self.client_id = client_id
        self.is_closed = False
        self._scope = trio.CancelScope()

    def __str__(self) -> str:
        return f"{self.where[0]}:{self.where[1]}"

    async def api_versions(self, *, timeout: float) -> Mapping[int, tuple[int, int]]:
        await trio.lowlevel.checkpoint()
        return self.controllers.versions

    async def send(self, api_key: int, version: int, request: Message, *, timeout: float) -> Message:
        self.is_closed = False
        self.controllers.asked.append((trio.current_time(), self.where, api_key, version, request))
        await trio.lowlevel.checkpoint()
        answer = self.controllers.answer(self.where, api_key, request)
        if answer is None:
            with trio.move_on_after(timeout) as self._scope:
                await trio.sleep_forever()
            raise NodeUnreachable(f"{self}: no answer")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send_frame(self, api_key: int, version: int, body: bytes, *, timeout: float) -> memoryview:
        raise NotImplementedError("nobody asks the controller for frames")

    def close(self) -> None:
        self.is_closed = True
        self._scope.cancel()
