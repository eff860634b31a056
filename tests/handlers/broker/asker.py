"""Whom the dialogues of the data APIs ask: handlers in memory (here), or any broker by its address (compat_tests/wire).

So every answer that a test expects was given by the real Kafka 4.3.1 to the same bytes.
"""

import os
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple, Protocol

import trio
import trio.testing

from pykbroker.clock import ManualClock
from pykbroker.dispatch import SERVED, Dispatcher, Suspended
from pykbroker.errors import MalformedFrame
from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.headers import decode_response_header, encode_request_header
from pykbroker.protocol.lookup import response_class
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic
from pykbroker.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    TopicProduceData,
)
from pykbroker.record.builder import build_batch
from tests.replica.stand import Stand

TIMESTAMP = 1_700_000_000_000


class Topic(NamedTuple):
    name: str
    id: Uuid


UNKNOWN_TOPIC = Topic("no-such-topic", Uuid(b"no such topic id"))


class Asker(Protocol):
    def ask(self, request: Message, version: int) -> Any:
        """The response."""

    def is_refused(self, request: Message, version: int) -> bool:
        """Whether the broker closes the connection instead of answering, or answers nothing and goes on."""

    def create(self, partitions: int = 1, name: str | None = None, **configs: str) -> Topic:
        """A new topic; config names with underscores."""

    def delete(self, topic: Topic) -> None: ...


class MemoryAsker:
    """The handlers behind the dispatcher, on a Stand. Waiting costs no time."""

    SERVED = (
        ApiKey.PRODUCE,
        ApiKey.FETCH,
        ApiKey.LIST_OFFSETS,
        ApiKey.DELETE_RECORDS,
        ApiKey.OFFSET_FOR_LEADER_EPOCH,
        ApiKey.ALTER_REPLICA_LOG_DIRS,
        ApiKey.DESCRIBE_LOG_DIRS,
        ApiKey.INIT_PRODUCER_ID,
    )

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        served = {key: SERVED[key] for key in self.SERVED}
        self.session = Dispatcher(stand, served).open_session(  # type: ignore[arg-type]
            "PLAINTEXT", "PLAINTEXT", ("127.0.0.1", 50000), ("127.0.0.1", 9092)
        )
        self._numbers = count(1)

    def ask(self, request: Message, version: int) -> Any:
        frame = trio.run(
            self._ask, bytes_of(request, version, "raw"), clock=trio.testing.MockClock(autojump_threshold=0)
        )
        _, position = decode_response_header(frame, request.API_KEY, version, 4)
        response, end = response_class(request.API_KEY).decode(frame, version, position)
        assert end == len(frame)
        return response

    async def _ask(self, frame: bytearray) -> bytes:
        answer = self.session.begin(memoryview(frame), trio.current_time())
        if isinstance(answer, Suspended):
            answer = await answer.finish()
        assert answer is not None
        parts = answer[0] if isinstance(answer, tuple) else [answer]
        return b"".join(map(read_part, parts))

    def is_refused(self, request: Message, version: int) -> bool:
        try:
            self.session.begin(memoryview(bytes_of(request, version, "raw")), 0.0)
        except MalformedFrame:
            return True
        return False

    def create(self, partitions: int = 1, name: str | None = None, **configs: str) -> Topic:
        name = name or f"topic-{next(self._numbers)}"
        return Topic(name, self.stand.create(name, partitions, **configs))

    def delete(self, topic: Topic) -> None:
        self.stand.delete(topic.name)


def bytes_of(request: Message, version: int, client_id: str) -> bytearray:
    out = bytearray()
    encode_request_header(out, request.API_KEY, version, 1, client_id)
    request.encode_into(out, version)
    return out


def read_part(part: Any) -> bytes:
    if isinstance(part, (bytes, bytearray, memoryview)):
        return bytes(part)
    return os.pread(part.file.fileno(), part.length, part.position)


def clock_of(stand: Stand) -> ManualClock:
    assert isinstance(stand.clock, ManualClock)
    return stand.clock


def batch(records: int = 1, size: int = 10, timestamp: int = TIMESTAMP, **fields: Any) -> bytes:
    """A v2 batch of keyed records; timestamps ascend by a millisecond."""
    return bytes(build_batch([(b"key", b"x" * size, [], timestamp + i) for i in range(records)], **fields))


Rows = Sequence[tuple[int, bytes | None]]


def produce_request(topic: Topic, rows: Rows, *, acks: int = -1, transactional_id: str | None = None) -> ProduceRequest:
    return ProduceRequest(
        transactional_id=transactional_id,
        acks=acks,
        timeout_ms=5000,
        topic_data=[
            TopicProduceData(
                name=topic.name,
                topic_id=topic.id,
                partition_data=[PartitionProduceData(index=index, records=records) for index, records in rows],
            )
        ],
    )


def for_version(request: Any, version: int) -> Any:
    """Names up to v12, ids from v13 on (Produce and Fetch alike)."""
    topics = [*getattr(request, "topic_data", ()), *getattr(request, "topics", ())]
    for topic in [*topics, *getattr(request, "forgotten_topics_data", ())]:
        if version >= 13:
            setattr(topic, "name" if hasattr(topic, "name") else "topic", "")
        else:
            topic.topic_id = ZERO_UUID
    return request


def produce(
    asker: Asker, topic: Topic, rows: Rows, version: int = 9, **fields: Any
) -> dict[int, PartitionProduceResponse]:
    """The answer's rows by partition."""
    request = for_version(produce_request(topic, rows, **fields), version)
    response = asker.ask(request, version)
    assert response.throttle_time_ms == 0
    return {row.index: row for topic in response.responses for row in topic.partition_responses}


def codes(rows: Mapping[int, Any]) -> dict[int, int]:
    return {index: row.error_code for index, row in rows.items()}


def wants(partition: int, offset: int, max_bytes: int = 1 << 20, **fields: Any) -> FetchPartition:
    return FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=max_bytes, **fields)


def fetch(
    asker: Asker,
    *topics: tuple[Topic, Sequence[FetchPartition]],
    version: int = 12,
    forget: Sequence[tuple[Topic, Sequence[int]]] = (),
    **fields: Any,
) -> Any:
    """The response to a fetch without session unless `fields` say otherwise."""
    request = FetchRequest(
        **{"max_wait_ms": 100, "min_bytes": 1, "max_bytes": 1 << 20, "session_epoch": -1, **fields},
        topics=[FetchTopic(topic=topic.name, topic_id=topic.id, partitions=list(rows)) for topic, rows in topics],
        forgotten_topics_data=[
            ForgottenTopic(topic=topic.name, topic_id=topic.id, partitions=list(rows)) for topic, rows in forget
        ],
    )
    return asker.ask(for_version(request, version), version)


def rows_of(response: Any) -> list[tuple[int, int, int, int, int]]:
    """(partition, error code, high watermark, log start offset, bytes) of all rows in order."""
    return [
        (row.partition_index, row.error_code, row.high_watermark, row.log_start_offset, len(row.records))
        for topic in response.responses
        for row in topic.partitions
    ]
