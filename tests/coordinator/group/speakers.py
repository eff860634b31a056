"""Who speaks a dialogue: to a broker over the wire, or to our own coordinator in this process; both note answers."""

import re
import struct
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import trio
import trio.testing

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.group.service import GroupCoordinatorService
from pykbroker.coordinator.group.share_service import ShareGroupService
from pykbroker.errors import KafkaError
from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.metadata.features import GROUP_VERSION, STREAMS_VERSION
from pykbroker.metadata.image import FeaturesImage, MetadataImage
from pykbroker.metadata.topics import PartitionImage, TopicImage, TopicsImage
from pykbroker.protocol.apis import API_TABLE
from pykbroker.protocol.lookup import request_class, response_class
from pykbroker.protocol.message import Message, Struct
from pykbroker.request import RequestContext
from tests.coordinator.group.dialogues import TOPICS, UNKNOWN_TOPIC

RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
RANDOM_UUID = re.compile(r"[A-Za-z0-9_-]{22}")  # as Kafka prints it
# Of the last two Kafka keeps no order: Map.copyOf.
UNORDERED = (
    *("members", "topics", "groups", "partitions", "results", "topic_partitions", "subscribed_topic_names"),
    *("active_partitions", "standby_partitions"),
)


class Notes:
    """The answers of one dialogue, with everything random replaced by when it was first seen."""

    def __init__(self, prefix: str, topic_ids: dict[str, Uuid]) -> None:
        self.prefix = prefix
        self.topic_ids = topic_ids
        self.lines: list[dict[str, Any]] = []
        self._seen: dict[str, str] = {}

    def group(self, name: str = "g") -> str:
        return f"{self.prefix}-{name}"

    def topic_id(self, name: str) -> Uuid:
        return self.topic_ids.get(name, UNKNOWN_TOPIC)

    def note(self, connection: str, request: Message, version: int, answer: Message | None) -> None:
        said = type(request).__name__.removesuffix("Request")
        self.lines.append({"to": connection, "api": f"{said} {version}", "answer": self._plain(answer)})

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Struct):
            if RANDOM_UUID.fullmatch(getattr(value, "member_id", None) or ""):
                self._seen.setdefault(value.member_id, f"ID{len(self._seen)}")
            fields = (name for name in value.__slots__ if name not in ("unknown_tags", "throttle_time_ms"))
            return {name: self._list(name, getattr(value, name)) for name in fields}
        if isinstance(value, Uuid):
            names = {topic_id: name for name, topic_id in self.topic_ids.items()}
            return {ZERO_UUID: "", UNKNOWN_TOPIC: "unknown"}.get(value) or names.get(value, "")
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, str):
            text = RANDOM_ID.sub(self._name, value).replace(self.prefix, "PREFIX")
            for seen, name in self._seen.items():
                text = text.replace(seen, name)
            return text
        return value

    def _list(self, name: str, value: Any) -> Any:
        if not isinstance(value, list):
            return self._plain(value)
        plain = [self._plain(row) for row in value]
        if name == "groups":  # of other dialogues
            plain = [row for row in plain if "PREFIX" in row["group_id"] or not row["group_id"]]
        return sorted(plain, key=str) if name in UNORDERED else plain

    def _name(self, match: re.Match[str]) -> str:
        return self._seen.setdefault(match[0], f"ID{len(self._seen)}")


class RemoteSpeaker(Notes):
    """Speaks to a broker over TCP, one connection per name. Waits a moment after each request that is only sent."""

    def __init__(self, host: str, port: int, prefix: str, topic_ids: dict[str, Uuid], pause: float) -> None:
        super().__init__(prefix, topic_ids)
        self._address = (host, port)
        self._pause = pause
        self._streams: dict[str, trio.SocketStream] = {}
        self._asked: dict[str, list[tuple[Message, int]]] = {}

    async def send(self, connection: str, request: Message, version: int) -> None:
        await self._write(connection, request, version)
        await trio.sleep(self._pause)

    async def call(self, connection: str, request: Message, version: int) -> Any:
        await self._write(connection, request, version)
        return await self.answer(connection)

    async def answer(self, connection: str) -> Any:
        request, version = self._asked[connection].pop(0)
        stream = self._streams[connection]
        with trio.fail_after(20):
            (size,) = struct.unpack(">i", await _exactly(stream, 4))
            frame = await _exactly(stream, size)
        position = 5 if version >= API_TABLE[request.API_KEY].response_flexible else 4
        answer, _ = response_class(request.API_KEY).decode(frame, version, position)
        self.note(connection, request, version, answer)
        return answer

    async def _write(self, connection: str, request: Message, version: int) -> None:
        stream = self._streams.get(connection)
        if stream is None:
            stream = self._streams[connection] = await trio.open_tcp_stream(*self._address)
        client = connection.encode()
        head = struct.pack(">hhih", request.API_KEY, version, 1, len(client)) + client
        if version >= API_TABLE[request.API_KEY].request_flexible:
            head += b"\0"
        body = head + request.encode(version)
        await stream.send_all(struct.pack(">i", len(body)) + body)
        self._asked.setdefault(connection, []).append((request, version))

    async def aclose(self) -> None:
        for stream in self._streams.values():
            await stream.aclose()


async def _exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = await stream.receive_some(size - len(data))
        assert piece, "connection closed"
        data += piece
    return bytes(data)


class FakeServices:
    """What the group handlers need of a broker."""

    def __init__(self, config: BrokerConfig, groups: GroupCoordinatorService, topic_ids: dict[str, Uuid]) -> None:
        self.config = config
        self.groups = groups
        nobody: Any = None  # no dialogue has a share group
        self.share_groups = ShareGroupService(groups, nobody, lambda: self.image, nobody, soon=nobody)
        self.streams_topics = NoTopics()
        partition = PartitionImage((1,), (ZERO_UUID,), (1,), (), (), 1, 0, 0, 0)
        topics = [
            TopicImage(name, topic_ids[name], dict.fromkeys(range(count), partition)) for name, count in TOPICS.items()
        ]
        by_id = {topic.id: topic for topic in topics}
        by_name = {topic.name: topic for topic in topics}
        self.image = MetadataImage.empty()._replace(
            topics=TopicsImage(by_id, by_name), features=FeaturesImage({GROUP_VERSION: 1, STREAMS_VERSION: 1})
        )


class NoTopics:
    """Creates no internal topics."""

    def create(self, ctx: RequestContext, topics: object, remember_ms: int) -> None:
        assert topics

    def errors(self, names: object) -> dict[str, str]:
        return {}


class LocalSpeaker(Notes):
    """Speaks to the handlers; requests and answers go through their bytes."""

    def __init__(self, nursery: trio.Nursery, broker: FakeServices, prefix: str, topic_ids: dict[str, Uuid]) -> None:
        super().__init__(prefix, topic_ids)
        self._nursery = nursery
        self._broker = broker
        self._open: dict[str, list[tuple[Message, int, Answer]]] = {}

    async def send(self, connection: str, request: Message, version: int) -> None:
        answer = Answer()
        self._open.setdefault(connection, []).append((request, version, answer))
        self._nursery.start_soon(self._handle, connection, request, version, answer)
        await trio.testing.wait_all_tasks_blocked()

    async def call(self, connection: str, request: Message, version: int) -> Any:
        await self.send(connection, request, version)
        return await self.answer(connection)

    async def answer(self, connection: str) -> Any:
        request, version, answer = self._open[connection].pop(0)
        with trio.fail_after(5):
            await answer.arrived.wait()
        decoded, _ = response_class(request.API_KEY).decode(bytes(answer.body), version)
        self.note(connection, request, version, decoded)
        return decoded

    async def _handle(self, connection: str, request: Message, version: int, answer: "Answer") -> None:
        answer.body = await handled(self._broker, connection, request, version)
        answer.arrived.set()


class Answer:
    def __init__(self) -> None:
        self.body = bytearray()
        self.arrived = trio.Event()


async def handled(broker: Any, connection: str, request: Message, version: int) -> bytearray:
    """The body of the response, as dispatch would make it."""
    info = API_TABLE[request.API_KEY]
    handler = import_module(f"pykbroker.handlers.broker.{info.module}")
    decoded, _ = request_class(request.API_KEY).decode(bytes(request.encode(version)), version)
    ctx = RequestContext(request.API_KEY, version, client_id=connection)
    handle: Callable[..., Awaitable[Message]] = handler.handle
    try:
        response = await handle(broker, ctx, decoded)
    except KafkaError as error:
        if hasattr(handler, "error_response"):
            response = handler.error_response(decoded, error, version)
        else:
            response = response_class(request.API_KEY)()
            response.error_code = error.code  # type: ignore[attr-defined]
            if hasattr(response, "error_message"):
                response.error_message = error.message
    return response.encode(version)
