"""The whole broker in this process against damaged requests: it answers as Kafka may, or closes; it goes on.

Time runs faster here, so that long polls and rebalances cost little. A finding is a failed handler (what was not
raised as Kafka's error is logged with its traceback), an answer that cannot be decoded, a stall, a crash, or memory
beyond the limit.
"""

import logging
import math
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import trio
import trio.testing

from pykbroker.broker import Broker
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.dispatch import Dispatcher, LargeRequest, Session, Suspended
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.headers import decode_response_header, encode_request_header
from pykbroker.protocol.lookup import response_class
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from tools.fuzz.corpus import GROUP, PARTITIONS, Frame, aimed, plain
from tools.fuzz.fields import FieldMutator
from tools.fuzz.findings import Finding, Stall, stopwatch
from tools.fuzz.mutate import Mutator
from tools.fuzz.records import produced

TOPICS = ("topic-a", "topic-b")
LIFE = 2000  # inputs until a fresh broker takes over: what they left behind must not hide what comes
PATIENCE = 1.0  # seconds until a client that waits hangs up
RATE = 20.0  # seconds that pass in one; not all at once, as threads that write to the disk need real ones
IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # nobody pulls the plug here
LONGEST_SESSION_MS = 1_800_000
EPOCH_MS = 1_700_000_000_000
SETTINGS = {"group.initial.rebalance.delay.ms": "0", "log.cleaner.enable": "false", "num.partitions": "1"}


class VirtualClock:
    """The broker's time is the loop's; readable from any thread."""

    def __init__(self, loop: trio.testing.MockClock) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.current_time()

    def wall_ms(self) -> int:
        return EPOCH_MS + round(self._loop.current_time() * 1000)


class Complaints(logging.Handler):
    """Collects what the broker logs as an error of its own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            text = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            self.found.append(f"{record.getMessage()} {text[-1500:]}")

    def take(self) -> list[str]:
        found, self.found = self.found, []
        return found


class Sources:
    """The inputs of one run."""

    def __init__(self, seed: int, topics: dict[str, Uuid], member_id: str) -> None:
        self._aimed = aimed(topics, produced(), member_id)
        self._frames = [*plain(), *self._aimed]
        self._bytes = Mutator(seed, [frame.data for frame in self._frames])
        self._random = self._bytes.random
        self._fields = FieldMutator(self._random)

    def next(self) -> bytes:
        """Half of them well-formed nonsense, half of them damaged; of these a tenth in the header too."""
        if self._random.random() < 0.5:
            return self._nonsense(self._random.choice(self._aimed))
        frame = self._random.choice(self._frames)
        return self._bytes.mutate(frame.data, frame.body if self._random.random() < 0.9 else 0)

    def _nonsense(self, frame: Frame) -> bytes:
        assert frame.request is not None
        try:
            body = bytes(self._fields.mutate(frame.request).encode(frame.version))
        except (KafkaError, ValueError, TypeError, AttributeError):
            return frame.data  # what cannot be said in this version
        return frame.data[: frame.body] + body


class Target:
    """One broker and a connection to it, without sockets in between."""

    def __init__(self, broker: Broker) -> None:
        self._dispatcher = Dispatcher(broker)
        self.session = self.connect()

    def connect(self) -> Session:
        return self._dispatcher.open_session("PLAINTEXT", "PLAINTEXT", ("127.0.0.1", 50000), ("127.0.0.1", 9092))

    async def feed(self, frame: bytes, patience: float = PATIENCE) -> bytes | None:
        """The answer; None: none, or the connection was closed. Raises Stall."""
        view = memoryview(bytearray(frame))
        try:
            with trio.move_on_after(patience):
                return await self._answer(view)
            return None
        except MalformedFrame:
            self.session = self.connect()
            return None

    async def _answer(self, view: memoryview) -> bytes | None:
        self.session.admit(view[:64], len(view))
        with stopwatch("the request"):
            answer = self.session.begin(view, trio.current_time())
        if isinstance(answer, Suspended | LargeRequest):
            answer = await answer.finish()
        parts = answer[0] if isinstance(answer, tuple) else [answer] if answer is not None else []
        return b"".join(map(_read, parts))[4:] or None

    async def ask(self, request: Message, version: int) -> Any:
        out = bytearray()
        encode_request_header(out, request.API_KEY, version, 1, "fuzz")
        answer = await self.feed(bytes(out + request.encode(version)), math.inf)
        assert answer is not None
        return decoded(answer, request.API_KEY, version)


def _read(part: Any) -> bytes:
    if isinstance(part, (bytes, bytearray, memoryview)):
        return bytes(part)
    return os.pread(part.file.fileno(), part.length, part.position)


def decoded(frame: bytes, key: int, version: int) -> Message:
    if key == ApiKey.API_VERSIONS and frame[4:6] == b"\0\x23":  # to an unknown version it answers in version 0
        version = 0
    _, position = decode_response_header(frame, key, version)
    response, end = response_class(key).decode(frame, version, position)
    if end != len(frame):
        raise AssertionError(f"{len(frame) - end} bytes behind the answer")
    return response


def run(seed: int, inputs: int) -> Iterator[Finding]:
    for life, start in enumerate(range(0, inputs, LIFE)):
        clock = trio.testing.MockClock(rate=RATE)
        count = min(LIFE, inputs - start)
        yield from trio.run(_live, seed * 1_000_003 + life, count, VirtualClock(clock), clock=clock)


async def _live(seed: int, inputs: int, clock: VirtualClock) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="pykbroker-fuzz-", dir=IN_MEMORY) as folder:
        settings = {**SETTINGS, "listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": folder}
        broker = Broker(BrokerConfig(settings), clock)
        ready = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(broker.run, lambda host, port: ready.set())
            await ready.wait()
            findings = await _feed_all(Target(broker), seed, inputs)
            broker.stop()
    return findings


async def _feed_all(target: Target, seed: int, inputs: int) -> list[Finding]:
    sources = Sources(seed, await create_topics(target), await join_group(target))
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    logging.getLogger().setLevel(logging.WARNING)
    findings = []
    try:
        for _ in range(inputs):
            data = sources.next()
            findings += [Finding("broker", what, data) for what in await _judge(target, data, complaints)]
    finally:
        logging.getLogger().removeHandler(complaints)
    return findings


async def create_topics(target: Target) -> dict[str, Uuid]:
    topics = [CreatableTopic(name=name, num_partitions=PARTITIONS, replication_factor=1) for name in TOPICS]
    response = await target.ask(CreateTopicsRequest(topics=topics, timeout_ms=10_000), 7)
    return {row.name: Uuid(row.topic_id) for row in response.topics}


async def join_group(target: Target) -> str:
    """The member's id; it is alone in generation 1."""
    await target.ask(FindCoordinatorRequest(coordinator_keys=[GROUP]), 4)
    protocols = [JoinGroupRequestProtocol(name="range", metadata=b"")]
    request = JoinGroupRequest(
        group_id=GROUP,
        session_timeout_ms=LONGEST_SESSION_MS,
        rebalance_timeout_ms=LONGEST_SESSION_MS,
        protocol_type="consumer",
        protocols=protocols,
    )
    request.member_id = (await target.ask(request, 9)).member_id
    response = await target.ask(request, 9)
    assert (response.error_code, response.generation_id) == (0, 1), response
    return str(response.member_id)


async def _judge(target: Target, data: bytes, complaints: Complaints) -> list[str]:
    key, version = int.from_bytes(data[:2], "big", signed=True), int.from_bytes(data[2:4], "big", signed=True)
    what = []
    try:
        answer = await target.feed(data)
        if answer is not None:
            decoded(answer, key, version)
    except (Exception, Stall) as error:
        what.append(f"key {key} v{version}: {type(error).__name__}: {error}")
    return what + complaints.take()
