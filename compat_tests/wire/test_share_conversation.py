"""What Java's share consumer and Kafka 4.3.1 said to each other (golden `share` conversation), said once more.

The requests are those of the recording, with the ids of this run; the answers must be those of the recording, but for
what depends on time: when an assignment is told, and which of several requests brings a record.
"""

import time
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

import pytest

from compat_tests.wire.conftest import SocketAsker
from compat_tests.wire.raw_client import RawClient
from pykbroker.ids import Uuid
from pykbroker.protocol.headers import decode_request_header, decode_response_header
from pykbroker.protocol.lookup import request_class, response_class
from pykbroker.protocol.message import Message, Struct
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorResponse
from pykbroker.protocol.messages.metadata import MetadataResponse, MetadataResponsePartition
from pykbroker.protocol.messages.share_acknowledge import PartitionData as AcknowledgedPartition
from pykbroker.protocol.messages.share_acknowledge import ShareAcknowledgeRequest
from pykbroker.protocol.messages.share_fetch import ShareFetchRequest
from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from pykbroker.record.batch import iterate_batches
from tests.golden_data import golden_lines
from tests.handlers.broker.asker import Topic, batch, produce
from tests.handlers.cluster_asker import eventually, unique
from tests.handlers.share_state_dialogue import ShareState
from tests.handlers.transaction_dialogue import begun

GROUP, TOPIC = "java-share", "java-topic"
START_OFFSETS = {0: 30, 1: 20}
# A batch as it was given to the consumer: partition, first and last offset, transactional, a marker.
Given = tuple[int, int, int, bool, bool]
# Partition, first and last offset, delivery count.
Acquired = tuple[int, int, int, int]


class Exchange(NamedTuple):
    connection: int
    request: Any
    version: int
    answer: Any


def recorded() -> Iterator[Exchange]:
    asked: dict[tuple[int, int], Message] = {}
    for line in golden_lines("conversations/java-4.3.1.jsonl.gz"):
        if line.get("scenario") != "share":
            continue
        key, version, raw = line["key"], line["version"], bytes.fromhex(line["hex"])
        if line["kind"] == "request":
            header = decode_request_header(raw)
            request, _ = request_class(key).decode(raw, version, header.body_position)
            asked[line["conn"], header.correlation_id] = request
        else:
            correlation_id, position = decode_response_header(raw, key, version)
            answer, _ = response_class(key).decode(raw, version, position)
            yield Exchange(line["conn"], asked.pop((line["conn"], correlation_id)), version, answer)
    assert not asked


def as_recorded(asker: SocketAsker) -> Topic:
    """A topic whose records lie as they did then: three transactions, behind others that are deleted."""
    topic = asker.create(partitions=2)
    now = int(time.time() * 1000)  # in one segment with the markers
    for partition, count in START_OFFSETS.items():
        assert produce(asker, topic, [(partition, batch(count, timestamp=now))])[partition].error_code == 0
    rows = [DeleteRecordsPartition(partition, offset) for partition, offset in START_OFFSETS.items()]
    request = DeleteRecordsRequest(topics=[DeleteRecordsTopic(topic.name, rows)], timeout_ms=10_000)
    assert {row.error_code for row in asker.ask(request, 2).topics[0].partitions} == {0}
    assert produce(asker, topic, [(1, batch(timestamp=now))])[1].error_code == 0
    producer = begun(asker)
    for _ in range(3):
        producer_id, epoch = producer.identity
        who = {"producer_id": producer_id, "producer_epoch": epoch, "base_sequence": 0, "is_transactional": True}
        two = [(index, batch(count, timestamp=now, **who)) for index, count in ((0, 2), (1, 1))]
        answers = produce(asker, topic, two, 12, transactional_id=producer.id)
        assert {row.error_code for row in answers.values()} == {0}
        assert producer.end(True) == 0
        producer.at_rest()
    return topic


def plain(value: Any, names: dict[Any, Any]) -> Any:
    """Comparable; ids that differ from run to run are called by the names given."""
    if isinstance(value, Struct):
        left_out = ("throttle_time_ms", "records", "unknown_tags")
        return {name: plain(getattr(value, name), names) for name in value.__slots__ if name not in left_out}
    if isinstance(value, list):
        rows = [plain(row, names) for row in value]
        return sorted(rows, key=itemgetter("partition_index")) if is_unordered(value) else rows
    return names.get(value, value)


def is_unordered(rows: list[Any]) -> bool:
    """Kafka answers in the order of a hash map."""
    return any(isinstance(row, (AcknowledgedPartition, MetadataResponsePartition)) for row in rows)


def exchange_ids(value: Any, names: dict[Any, Any]) -> Any:
    """In place, all the way down."""
    if isinstance(value, Struct):
        for name in value.__slots__:
            if name != "unknown_tags":
                setattr(value, name, exchange_ids(getattr(value, name), names))
        return value
    if isinstance(value, list):
        return [exchange_ids(row, names) for row in value]
    return names.get(value, value) if isinstance(value, (str, bytes)) else value


class Replay:
    def __init__(self, asker: SocketAsker, exchanges: list[Exchange]) -> None:
        self.exchanges = exchanges
        self.topic = as_recorded(asker)
        self.group = ShareState(asker, self.topic, unique("share")).group
        member = next(one.request.member_id for one in exchanges if isinstance(one.request, ShareGroupHeartbeatRequest))
        topic_id = next(one.answer.topics[0].topic_id for one in exchanges if has_topics(one.answer))
        ours = {GROUP: self.group, TOPIC: self.topic.name, topic_id: self.topic.id, member: str(Uuid.random())}
        self.ours: dict[Any, Any] = ours
        self.theirs = {mine: theirs for theirs, mine in ours.items()}
        self.connections: dict[int, RawClient] = {}
        self.bootstrap = asker.bootstrap
        self.member_epoch = self.session_epoch = 0
        self.assigned: Any = None
        self.given: dict[str, list[Given]] = {"then": [], "now": []}
        self.acquired: dict[str, list[Acquired]] = {"then": [], "now": []}

    def ask(self, one: Exchange) -> Any:
        if one.connection not in self.connections:
            self.connections[one.connection] = RawClient(self.bootstrap)
        return self.connections[one.connection].ask(one.request, one.version)

    def run(self) -> None:
        for one in self.exchanges:
            exchange_ids(one.request, self.ours)
            steps: dict[type, Callable[[Exchange], None]] = {
                ApiVersionsRequest: self.ask,
                ShareGroupHeartbeatRequest: self.beat,
                ShareFetchRequest: self.fetch,
                ShareAcknowledgeRequest: self.acknowledge,
            }
            steps.get(type(one.request), self.compare)(one)

    def compare(self, one: Exchange) -> None:
        """But for where the broker is, and how its cluster is called."""
        answer, names = self.ask(one), dict(self.theirs)
        if isinstance(answer, MetadataResponse):
            names |= {answer.cluster_id: one.answer.cluster_id, answer.brokers[0].port: one.answer.brokers[0].port}
        elif isinstance(answer, FindCoordinatorResponse):
            names[answer.coordinators[0].port] = one.answer.coordinators[0].port
        assert plain(answer, names) == plain(one.answer, {})

    def beat(self, one: Exchange) -> None:
        """An assignment is told once, sooner or later; the epoch goes with it."""
        request, then = one.request, one.answer

        def answered() -> Any:
            request.member_epoch = self.member_epoch if request.member_epoch >= 0 else request.member_epoch
            answer = self.ask(one)
            self.member_epoch = answer.member_epoch
            if is_assigned(answer):
                self.assigned = plain(answer.assignment, self.theirs)
            request.subscribed_topic_names = None
            return answer

        answer = eventually(answered, lambda _: self.assigned is not None or not is_assigned(then))
        told = [(row.error_code, row.error_message, row.heartbeat_interval_ms) for row in (answer, then)]
        assert told[0] == told[1]
        if is_assigned(then):
            assert (self.member_epoch, self.assigned) == (then.member_epoch, plain(then.assignment, {}))

    def fetch(self, one: Exchange) -> None:
        """Again, until it has got all that it got then."""
        self.note("then", one.answer)

        def answered() -> Any:
            one.request.share_session_epoch = self.session_epoch
            if self.session_epoch:
                one.request.topics = []
            answer = self.ask(one)
            self.session_epoch += 1
            self.note("now", answer)
            return answer

        answer = eventually(answered, lambda _: set(self.acquired["then"]) <= set(self.acquired["now"]))
        now, then = plain(answer, self.theirs), plain(one.answer, {})
        for row in [row for topic in now.pop("responses") for row in topic["partitions"]]:
            assert (row["error_code"], row["acknowledge_error_code"]) == (0, 0), row
        then.pop("responses")
        assert now == then

    def note(self, when: str, answer: Any) -> None:
        rows = [row for topic in answer.responses for row in topic.partitions]
        for row in rows:
            index = row.partition_index
            self.acquired[when] += [
                (index, x.first_offset, x.last_offset, x.delivery_count) for x in row.acquired_records
            ]
            for header, _ in iterate_batches(bytes(row.records)):
                kind = (header.is_transactional, header.is_control)
                self.given[when].append((index, header.base_offset, header.last_offset, *kind))

    def acknowledge(self, one: Exchange) -> None:
        if one.request.share_session_epoch > 0:
            one.request.share_session_epoch = self.session_epoch
            self.session_epoch += 1
        assert plain(self.ask(one), self.theirs) == plain(one.answer, {})

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()


def is_assigned(answer: Any) -> bool:
    return answer.assignment is not None and bool(answer.assignment.topic_partitions)


def has_topics(answer: Any) -> bool:
    return isinstance(answer, MetadataResponse) and bool(answer.topics)


def shortened(exchanges: list[Exchange]) -> Iterator[Exchange]:
    """Without most of the half seconds in which nothing came."""
    empty = 0
    for one in exchanges:
        if isinstance(one.request, ShareFetchRequest) and not one.answer.responses:
            empty += 1
            if empty > 2:
                continue
        yield one


@pytest.fixture
def replay(asker: SocketAsker) -> Iterator[Replay]:
    replay = Replay(asker, list(shortened(list(recorded()))))
    yield replay
    replay.close()


def test_java_share_consumer(replay: Replay) -> None:
    replay.run()
    assert sorted(replay.acquired["now"]) == sorted(replay.acquired["then"])
    assert sorted(replay.given["now"]) == sorted(replay.given["then"])
    assert len(replay.acquired["then"]) == 4
