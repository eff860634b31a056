"""A fetcher asks a leader what a real broker asks, and takes what a real one answers."""

from collections.abc import Iterator, Sequence
from copy import copy
from logging import INFO
from pathlib import Path
from typing import Any

import pytest

from pykbroker.clock import ManualClock
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.checkpoints import RECOVERY_POINT
from pykbroker.log.log_manager import LogManager
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.headers import decode_request_header, decode_response_header
from pykbroker.protocol.messages.fetch import (
    EpochEndOffset,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)
from pykbroker.protocol.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from pykbroker.replica.fetcher import Asked, Fetcher, FetcherSettings
from pykbroker.replica.list_offsets import EARLIEST, LATEST
from pykbroker.replica.partition import Partition
from tests.golden_data import golden_lines
from tests.log.logs import NOW, topic_config
from tests.log.logs import batch as build
from tests.replica.stand import UnsyncedFiles, partition_image

LEADER = 9


def batch(timestamps: Sequence[int] = (NOW,), base_offset: int = 0, leader_epoch: int = 0) -> bytearray:
    return build(timestamps, base_offset=base_offset, leader_epoch=leader_epoch)


class Throttle:
    def __init__(self) -> None:
        self.throttled: set[Partition] = set()
        self.exceeded = False
        self.recorded = 0

    def is_throttled(self, partition: Partition) -> bool:
        return partition in self.throttled

    def is_exceeded(self) -> bool:
        return self.exceeded

    def record(self, count: int) -> None:
        self.recorded += count


class World:
    """Implements fetcher.Environment; one fetcher, and logs to follow with."""

    def __init__(self, folder: Path, node_id: int = 1) -> None:
        self.node_id = node_id
        self.broker_epoch = 7
        self.metadata_version = 30
        self.clock = ManualClock()
        self.settings = FetcherSettings()
        self.truncation = self.logs = LogManager([str(folder / "data")], clock=self.clock, files=UnsyncedFiles())
        self.logs.open(node_id=node_id, cluster_id=None, new_cluster_id=lambda: str(Uuid.random()))
        self.logs.load(lambda topic: topic_config())
        self.follower_throttle = Throttle()
        self.fetcher = Fetcher(LEADER, 0, self)
        self.failed: list[Partition] = []
        self.fetcher.on_failed = self.failed.append
        self.now = 100.0

    def partition(self, name: str, index: int = 0, topic_id: Uuid | None = None, epoch: int = 5) -> Partition:
        tp = TopicPartition(name, index)
        log = self.logs.create(tp, topic_id or Uuid.random(), topic_config())
        assert log.topic_id is not None
        image = partition_image(LEADER, epoch)._replace(replicas=(LEADER, self.node_id), isr=(LEADER,))
        partition = Partition(tp, log.topic_id, self.node_id, log, image)
        assert partition.apply(image)
        return partition

    def follow(self, name: str = "t", *batches: bytearray, **fields: Any) -> Partition:
        partition = self.partition(name, **fields)
        for one in batches:
            partition.log.append_as_follower(one, 0)
        self.fetcher.add(partition)
        return partition

    def ask(self) -> FetchRequest:
        asked = self.fetcher.next_request(self.now)
        assert asked is not None
        assert isinstance(asked.request, FetchRequest)
        return asked.request

    def answer(self, *rows: tuple[Partition, PartitionData], session_id: int = 77, error_code: int = 0) -> None:
        topics = []
        for partition, row in rows:
            row.partition_index = partition.topic_partition.partition
            topics.append(FetchableTopicResponse(topic_id=partition.topic_id, partitions=[row]))
        response = FetchResponse(session_id=session_id, error_code=error_code, responses=topics)
        self.fetcher.on_response(response, self.now)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.logs.release()


def told(request: FetchRequest) -> list[tuple[int, int, int]]:
    """(partition, offset, last fetched epoch) of each row."""
    return [
        (row.partition, row.fetch_offset, row.last_fetched_epoch) for one in request.topics for row in one.partitions
    ]


def row(records: bytes | bytearray = b"", high_watermark: int = 0, **fields: Any) -> PartitionData:
    fields.setdefault("log_start_offset", 0)
    return PartitionData(high_watermark=high_watermark, records=records, **fields)


# What real brokers say


def conversation(name: str) -> Iterator[tuple[int, bytes, bytes]]:
    """(connection, request frame, response frame) of the fetches of one real follower, in order."""
    requests: dict[int, bytes] = {}
    lines = golden_lines(f"conversations/{name}.jsonl.gz")
    next(lines)
    for line in lines:
        if line["key"] == ApiKey.FETCH:
            if line["dir"] == ">":
                requests[line["conn"]] = bytes.fromhex(line["hex"])
            elif line["conn"] in requests:
                yield line["conn"], requests.pop(line["conn"]), bytes.fromhex(line["hex"])


@pytest.mark.parametrize(("name", "follower"), [("kraft-interbroker-1", 2), ("kraft-interbroker-2", 1)])
def test_the_requests_of_a_real_follower(name: str, follower: int, tmp_path: Path) -> None:
    """Given the same partitions and answers, every request is the same to the last byte: sessions, offsets, epochs,
    what is named and what is not."""
    world = World(tmp_path, node_id=follower)
    connection, compared = None, 0
    for at, frame, answer in conversation(name):
        header = decode_request_header(frame)
        position = header.body_position
        expected, _ = FetchRequest.decode(frame, header.api_version, position)
        if at != connection:
            connection = at
            world.fetcher = Fetcher(LEADER, 0, world)
        world.broker_epoch = expected.replica_state.replica_epoch
        take_over_assignment(world, expected)
        asked = world.fetcher.next_request(world.now)
        assert asked is not None
        assert (asked.api_key, asked.version) == (ApiKey.FETCH, header.api_version)
        assert bytes(asked.request.encode(asked.version)).hex() == frame[position:].hex(), (asked.request, expected)
        _, position = decode_response_header(answer, ApiKey.FETCH, asked.version)
        world.fetcher.on_response(FetchResponse.decode(answer, asked.version, position)[0], world.now)
        world.now += 10  # whatever had to wait may go on
        compared += 1
    assert compared >= 40
    assert not world.failed
    world.logs.release()


def take_over_assignment(world: World, expected: FetchRequest) -> None:
    """What the metadata told the real broker before it sent this."""
    followers = world.fetcher.followers
    for topic in expected.forgotten_topics_data:
        world.fetcher.remove([(topic.topic_id, index) for index in topic.partitions])
    for topic in expected.topics:
        for wanted in topic.partitions:
            key = (topic.topic_id, wanted.partition)
            known = followers.get(key)
            if known is not None and known.leader_epoch == wanted.current_leader_epoch:
                continue
            name = topic.topic_id.hex()
            partition = world.partition(name, wanted.partition, topic.topic_id, wanted.current_leader_epoch)
            log = partition.log
            if log.log_end_offset != wanted.fetch_offset or log.leader_epochs.latest_epoch() is None:
                log.truncate_fully_and_start_at(wanted.fetch_offset)
                log.log_start_offset = wanted.log_start_offset
                log.leader_epochs.assign(wanted.last_fetched_epoch, wanted.log_start_offset)
                log.update_high_watermark(wanted.fetch_offset)
            world.fetcher.add(partition)


# Sessions


def test_only_what_changed_is_named(world: World) -> None:
    first, second = world.follow("a"), world.follow("b")
    request = world.ask()
    assert (request.session_id, request.session_epoch, told(request)) == (0, 0, [(0, 0, -1), (0, 0, -1)])
    assert (request.replica_state.replica_id, request.replica_state.replica_epoch, request.replica_id) == (1, 7, -1)
    world.answer((first, row(batch(leader_epoch=3))), (second, row()))
    request = world.ask()
    assert (request.session_id, request.session_epoch, told(request)) == (77, 1, [(0, 1, 3)])
    world.answer()
    request = world.ask()
    assert (request.session_epoch, request.topics) == (2, [])
    world.answer()
    world.fetcher.remove([(second.topic_id, 0)])
    request = world.ask()
    assert [(one.topic_id, one.partitions) for one in request.forgotten_topics_data] == [(second.topic_id, [0])]


@pytest.mark.parametrize(
    ("code", "session"), [(ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0), (ErrorCode.INVALID_FETCH_SESSION_EPOCH, 77)]
)
def test_a_lost_session_is_started_over(world: World, code: int, session: int) -> None:
    """At once; the one that the leader may still know is closed with the next request."""
    partition = world.follow()
    world.ask()
    world.answer((partition, row()))
    world.ask()
    world.answer(session_id=0, error_code=code)
    request = world.ask()
    assert (request.session_id, request.session_epoch, told(request)) == (session, 0, [(0, 0, -1)])
    world.answer(session_id=0, error_code=code)
    assert world.fetcher.next_request(world.now) is None, "it is not the session"
    assert world.fetcher.next_time(world.now) == world.now + 1


def test_a_refusal_as_a_whole_is_not_asked_for_all_the_time(world: World) -> None:
    partition = world.follow()
    world.ask()
    world.answer((partition, row()))
    world.ask()
    world.answer(session_id=0, error_code=ErrorCode.UNKNOWN_SERVER_ERROR)
    assert world.fetcher.next_request(world.now) is None
    world.now += 1
    assert told(world.ask()) == [(0, 0, -1)]


def test_without_an_answer_all_wait_and_ask_in_full(world: World) -> None:
    world.follow()
    world.ask()
    world.fetcher.on_failure("gone", world.now)
    assert world.fetcher.next_request(world.now) is None
    assert world.fetcher.next_time(world.now) == world.now + 1
    world.now += 1
    assert told(world.ask()) == [(0, 0, -1)]


def test_one_request_at_a_time(world: World) -> None:
    world.follow()
    world.ask()
    assert world.fetcher.next_request(world.now) is None
    world.follow("u")
    assert world.fetcher.next_request(world.now) is None, "it waits for the answer under way"


def test_an_answer_to_what_is_not_followed_any_more(world: World) -> None:
    partition, other = world.follow("a"), world.follow("b")
    world.ask()
    world.fetcher.remove([(partition.topic_id, 0)])
    world.answer((partition, row(batch())), (other, row(batch())))
    assert (partition.log.log_end_offset, other.log.log_end_offset) == (0, 1)


def test_an_answer_from_before_the_partition_was_added_anew(world: World) -> None:
    partition = world.follow()
    world.ask()
    partition.log.append_as_follower(batch(leader_epoch=4), 0)
    partition.apply(partition.image._replace(leader_epoch=6))
    world.fetcher.add(partition)
    world.answer((partition, row(batch(leader_epoch=5))))
    assert partition.log.log_end_offset == 1
    assert told(world.ask()) == [(0, 1, 4)]


# Offsets that the leader does not have


def looked_up(world: World, timestamp: int) -> Asked:
    asked = world.fetcher.next_request(world.now)
    assert asked is not None
    assert isinstance(asked.request, ListOffsetsRequest)
    assert (asked.request.replica_id, asked.version) == (1, 11)
    wanted = asked.request.topics[0].partitions[0]
    assert (wanted.timestamp, wanted.current_leader_epoch) == (timestamp, 5)
    return asked


def tell(world: World, offset: int, error_code: int = 0) -> None:
    rows = [ListOffsetsPartitionResponse(partition_index=0, offset=offset, error_code=error_code)]
    world.fetcher.on_response(ListOffsetsResponse(topics=[ListOffsetsTopicResponse("t", rows)]), world.now)


def out_of_range(world: World, *batches: bytearray) -> Partition:
    partition = world.follow("t", *batches)
    world.ask()
    world.answer((partition, row(error_code=ErrorCode.OFFSET_OUT_OF_RANGE)))
    return partition


def test_the_leaders_log_ends_before_ours(world: World) -> None:
    partition = out_of_range(world, batch((1, 2)), batch((3, 4), base_offset=2))
    looked_up(world, LATEST)
    tell(world, 2)
    assert partition.log.log_end_offset == 2
    assert told(world.ask()) == [(0, 2, 0)]


@pytest.mark.parametrize(("start", "expected"), [(50, 50), (1, 2)])
def test_the_leaders_log_begins_behind_ours(world: World, start: int, expected: int) -> None:
    """All of it was deleted meanwhile: begin anew. Or not: go on where we are."""
    partition = out_of_range(world, batch((1, 2)))
    looked_up(world, LATEST)
    tell(world, 90)
    looked_up(world, EARLIEST)
    tell(world, start)
    assert partition.log.log_end_offset == expected
    follower = world.fetcher.followers[partition.topic_id, 0]
    assert (follower.fetch_offset, follower.lag, follower.lookup) == (expected, 90 - expected, None)


def test_the_leader_does_not_tell_its_offsets(world: World) -> None:
    out_of_range(world)
    looked_up(world, LATEST)
    tell(world, -1, ErrorCode.NOT_LEADER_OR_FOLLOWER)
    request = world.fetcher.next_request(world.now)
    assert request is not None
    assert isinstance(request.request, FetchRequest)
    assert request.request.forgotten_topics_data, "it leaves the session meanwhile"
    world.answer(session_id=0)
    assert world.fetcher.next_request(world.now) is None
    world.now += 1
    looked_up(world, LATEST)
    tell(world, -1, ErrorCode.FENCED_LEADER_EPOCH)
    assert [str(one.topic_partition) for one in world.failed] == ["t-0"]


# Throttles and errors


def test_a_throttled_replica_that_lags_is_not_asked_for(world: World) -> None:
    slow, other = world.follow("a"), world.follow("b")
    world.follower_throttle.throttled.add(slow)
    world.ask()
    data = batch()
    world.answer((slow, row(data, 10)), (other, row(data, 10)))
    assert world.follower_throttle.recorded == len(data)
    world.follower_throttle.exceeded = True
    request = world.ask()
    assert [one.topic_id for one in request.forgotten_topics_data] == [slow.topic_id]
    world.answer()
    world.follower_throttle.exceeded = False
    assert [one.topic_id for one in world.ask().topics] == [slow.topic_id]


def test_one_that_has_caught_up_is_not_throttled(world: World) -> None:
    """It would leave the ISR."""
    partition = world.follow()
    world.follower_throttle.throttled.add(partition)
    world.ask()
    world.answer((partition, row(batch(), 1)))
    world.follower_throttle.exceeded = True
    assert told(world.ask()) == [(0, 1, 0)]


def test_when_all_are_held_back_the_throttle_is_asked_again(world: World) -> None:
    partition = world.follow()
    world.follower_throttle.throttled.add(partition)
    world.follower_throttle.exceeded = True
    assert world.fetcher.next_request(world.now) is None
    assert world.fetcher.next_time(world.now) == world.now + 1
    world.follower_throttle.exceeded = False
    assert told(world.ask()) == [(0, 0, -1)]


def test_a_partition_that_failed_is_left_alone(world: World) -> None:
    partition, other = world.follow("a"), world.follow("b")
    world.ask()
    world.answer((partition, row(error_code=ErrorCode.FENCED_LEADER_EPOCH)), (other, row()))
    assert world.failed == [partition]
    request = world.ask()
    assert [one.topic_id for one in request.forgotten_topics_data] == [partition.topic_id]


def test_leaders_that_have_moved_are_one_line_of_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A broker that stops in order is nothing to be warned of."""
    partitions = [world.follow(f"t{number}") for number in range(7)]
    world.ask()
    caplog.clear()
    with caplog.at_level(INFO):
        world.answer(*((one, row(error_code=ErrorCode.FENCED_LEADER_EPOCH)) for one in partitions))
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            INFO,
            f"<Fetcher 0 of leader {LEADER}>: t0-0, t1-0, t2-0, t3-0, t4-0 and 2 more: not followed until there is "
            "another leader epoch, of which the metadata will tell",
        )
    ]
    assert world.failed == partitions


def test_a_diverging_log_is_cut_and_asked_again(world: World) -> None:
    partition = world.follow("t", batch((1, 2), leader_epoch=1), batch((3,), base_offset=2, leader_epoch=2))
    assert told(world.ask()) == [(0, 3, 2)]
    world.answer((partition, row(diverging_epoch=EpochEndOffset(epoch=1, end_offset=2))))
    assert partition.log.log_end_offset == 2
    assert told(world.ask()) == [(0, 2, 1)]


def test_one_answer_that_cuts_many_logs_writes_one_checkpoint(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names all logs of the directory, and a leader's crash may cut thousands."""
    partitions = [world.follow(name, batch((1, 2), leader_epoch=1), batch((3,), 2, 2)) for name in ("t", "u", "v")]
    for partition in partitions:
        partition.log.flush()
    world.logs.checkpoint_recovery_points()
    checkpoints = world.logs.directories[0].checkpoints
    written, write = [], checkpoints.write
    monkeypatch.setattr(checkpoints, "write", lambda name, logs: (written.append(name), write(name, logs)))
    world.ask()
    cut = row(diverging_epoch=EpochEndOffset(epoch=1, end_offset=2))
    world.answer(*((partition, copy(cut)) for partition in partitions))
    assert written == [RECOVERY_POINT]
    # Before anything more can come: after a crash that would count as synced.
    assert checkpoints.read(RECOVERY_POINT) == {partition.topic_partition: 2 for partition in partitions}


def test_a_closed_fetcher_asks_nothing(world: World) -> None:
    world.follow()
    world.fetcher.close()
    assert world.fetcher.next_request(world.now) is None
    assert not world.fetcher.followers
