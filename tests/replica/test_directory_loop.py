"""Moves and assignments carried out: what the controller is asked, in which order, and what happens when it refuses."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicIdPartition, TopicPartition, Uuid
from pykbroker.log.log_manager import LogDirectory
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.assign_replicas_to_dirs import (
    AssignReplicasToDirsRequest,
    AssignReplicasToDirsResponse,
    AssignReplicasToDirsResponseDirectoryData,
    AssignReplicasToDirsResponsePartitionData,
    AssignReplicasToDirsResponseTopicData,
)
from pykbroker.record.builder import build_batch
from pykbroker.replica.directory_loop import RETRY_PAUSE, DirectoryLoop, assignment_request, codes
from pykbroker.replica.replication_quota import ReplicationQuota
from tests.replica.test_directory_move import T0, TwoDirectories, batch


class Controller:
    """Takes assignments over into the stand's image, unless it is told to refuse."""

    def __init__(self, stand: TwoDirectories) -> None:
        self.stand = stand
        self.told: list[tuple[Uuid, int]] = []
        self.refusals: list[KafkaError | int] = []
        self.on_call: Callable[[], None] = lambda: None

    async def call(self, api_key: int, request: Message) -> Message:
        assert api_key == ApiKey.ASSIGN_REPLICAS_TO_DIRS
        assert isinstance(request, AssignReplicasToDirsRequest)
        assert (request.broker_id, request.broker_epoch) == (1, 77)
        await trio.lowlevel.checkpoint()
        self.on_call()
        refusal = self.refusals.pop(0) if self.refusals else 0
        if isinstance(refusal, KafkaError):
            raise refusal
        for directory in request.directories:
            for topic in directory.topics:
                for partition in topic.partitions:
                    self.told.append((directory.id, partition.partition_index))
                    if not refusal:
                        self._assign(topic.topic_id, partition.partition_index, directory.id)
        return AssignReplicasToDirsResponse(error_code=refusal)

    def _assign(self, topic_id: Uuid, index: int, directory: Uuid) -> None:
        topic = self.stand.image.topics.by_id(topic_id)
        assert topic is not None
        changed = topic.partitions[index]._replace(directories=(directory,))
        self.stand.set_topic(topic._replace(partitions={**topic.partitions, index: changed}))


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[TwoDirectories]:
    stand = TwoDirectories(tmp_path)
    stand.create("t")
    yield stand
    stand.close()


@pytest.fixture
def controller(stand: TwoDirectories) -> Controller:
    return Controller(stand)


@pytest.fixture
def quota() -> ReplicationQuota:
    return ReplicationQuota(2**63 - 1, windows=11, window_seconds=1)


@pytest.fixture
def loop(stand: TwoDirectories, controller: Controller, quota: ReplicationQuota) -> DirectoryLoop:
    return DirectoryLoop(stand.directories, controller, stand.metadata, 1, lambda: 77, quota)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # the time is virtual, and a thread may have to end
        await trio.sleep(0.01)


def place(stand: TwoDirectories) -> LogDirectory | None:
    return stand.logs.directory_of(T0)


async def test_the_controller_hears_where_replicas_lie(
    stand: TwoDirectories, controller: Controller, loop: DirectoryLoop, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(loop.run)
    await until(lambda: bool(controller.told))
    assert controller.told == [(stand.one.id, 0)]
    stand.create("u", partitions=2)
    stand.directories.on_change()
    await until(lambda: len(controller.told) == 3)
    assert {directory for directory, _ in controller.told[1:]} == {stand.one.id, stand.two.id}


@pytest.mark.parametrize("refusal", [KafkaError(ErrorCode.STALE_BROKER_EPOCH), int(ErrorCode.UNKNOWN_TOPIC_ID)])
async def test_refused_it_asks_again(
    controller: Controller,
    loop: DirectoryLoop,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    refusal: KafkaError | int,
) -> None:
    controller.refusals = [refusal, refusal]
    start = trio.current_time()
    nursery.start_soon(loop.run)
    await until(lambda: not controller.refusals and bool(controller.told))
    await until(lambda: loop._directories.misplaced(controller.stand.metadata()) == {})
    assert trio.current_time() - start >= 2 * RETRY_PAUSE


async def test_a_move_is_told_before_it_is_done(
    stand: TwoDirectories, controller: Controller, loop: DirectoryLoop, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    partition = stand.partition("t")
    partition.append(batch(), -1, stand.clock.wall_ms())
    places = []

    def on_call() -> None:
        places.append(place(stand))
        partition.append(batch(), -1, stand.clock.wall_ms())

    nursery.start_soon(loop.run)
    await until(lambda: bool(controller.told))
    controller.on_call = on_call
    stand.directories.alter(T0, stand.two.path)
    await until(lambda: not stand.directories.moves)
    assert (places, place(stand)) == ([stand.one], stand.two)
    assert controller.told == [(stand.one.id, 0), (stand.two.id, 0)]
    assert partition.log.log_end_offset == 2, "what was appended while the controller thought is there"


async def test_cancelled_while_the_controller_thinks_it_is_told_back(
    stand: TwoDirectories, controller: Controller, loop: DirectoryLoop, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(loop.run)
    await until(lambda: bool(controller.told))
    controller.on_call = lambda: stand.directories.alter(T0, stand.one.path)
    stand.directories.alter(T0, stand.two.path)
    await until(lambda: len(controller.told) == 3)
    assert (place(stand), stand.futures()) == (stand.one, [])
    assert [directory for directory, _ in controller.told] == [stand.one.id, stand.two.id, stand.one.id]


async def test_a_controller_that_refuses_holds_a_move_up(
    stand: TwoDirectories, controller: Controller, loop: DirectoryLoop, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(loop.run)
    await until(lambda: bool(controller.told))
    controller.refusals = [int(ErrorCode.UNKNOWN_SERVER_ERROR)] * 3
    stand.directories.alter(T0, stand.two.path)
    await until(lambda: len(controller.refusals) == 1)
    assert place(stand) is stand.one
    await until(lambda: not stand.directories.moves)
    assert place(stand) is stand.two


async def test_a_target_that_cannot_be_written(
    stand: TwoDirectories,
    controller: Controller,
    loop: DirectoryLoop,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(stand.logs, "begin_copy", broken)
    stand.directories.alter(T0, stand.two.path)
    nursery.start_soon(loop.run)
    await until(lambda: not stand.directories.moves)
    assert (place(stand), stand.one.is_online, stand.two.is_online) == (stand.one, True, False)
    await until(lambda: bool(controller.told))


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The virtual time does not wait for threads."""

    async def run_sync(function: Callable[..., object], *args: object, abandon_on_cancel: bool = False) -> object:
        await trio.lowlevel.checkpoint()
        return function(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)


def fill(stand: TwoDirectories, segments: int) -> int:
    """Sealed segments of t-0, each of some 40 kB; their bytes."""
    log = stand.partition("t").log
    for _ in range(segments):
        stand.partition("t").append(build_batch([(None, bytes(40_000), [], 1)]), -1, stand.clock.wall_ms())
        log.roll(stand.clock.wall_ms())
    return log.size


async def test_a_move_keeps_to_the_quota_and_a_change_counts_at_once(
    stand: TwoDirectories,
    loop: DirectoryLoop,
    quota: ReplicationQuota,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    no_threads: None,
) -> None:
    """replica.alter.log.dirs.io.max.bytes.per.second"""
    size = fill(stand, 10)
    quota.rate = 10_000
    start = trio.current_time()
    nursery.start_soon(loop.run)
    stand.directories.alter(T0, stand.two.path)
    await trio.sleep(size / 10_000 / 2)
    move = stand.directories.moves[T0]
    assert place(stand) is stand.one
    assert copied(stand) == pytest.approx(size / 2, rel=0.3)
    assert stand.directories.is_wanted(move)
    quota.rate = 2**63 - 1
    await until(lambda: not stand.directories.moves)
    assert place(stand) is stand.two
    assert trio.current_time() - start == pytest.approx(size / 10_000 / 2 + 1, abs=1)


def copied(stand: TwoDirectories) -> int:
    (future,) = stand.futures()
    return sum(file.stat().st_size for file in Path(stand.two.path, future).glob("*.log*"))


async def test_small_logs_one_after_the_other_keep_to_it_too(
    stand: TwoDirectories,
    loop: DirectoryLoop,
    quota: ReplicationQuota,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    no_threads: None,
) -> None:
    stand.create("u", partitions=4)
    for index in range(4):
        records = build_batch([(None, bytes(40_000), [], 1)])
        stand.partition("u", index).append(records, -1, stand.clock.wall_ms())
    quota.rate = 10_000
    start = trio.current_time()
    nursery.start_soon(loop.run)
    for index in range(4):
        tp = TopicPartition("u", index)
        target = stand.two if stand.logs.directory_of(tp) is stand.one else stand.one
        stand.directories.alter(tp, target.path)
    await until(lambda: not stand.directories.moves)
    assert trio.current_time() - start == pytest.approx(12, abs=1), "the last one begins when its turn has come"


async def test_a_throttled_move_can_be_taken_back(
    stand: TwoDirectories,
    loop: DirectoryLoop,
    quota: ReplicationQuota,
    nursery: trio.Nursery,
    autojump_clock: MockClock,
) -> None:
    fill(stand, 3)
    quota.rate = 1
    nursery.start_soon(loop.run)
    stand.directories.alter(T0, stand.two.path)
    await until(lambda: bool(stand.futures()))
    stand.directories.alter(T0, stand.one.path)
    await trio.sleep(2)
    assert (stand.futures(), stand.directories.moves) == ([], {})
    quota.rate = 2**63 - 1
    stand.directories.alter(T0, stand.two.path)
    await until(lambda: place(stand) is stand.two)


async def test_what_a_stop_interrupted_begins_anew(
    stand: TwoDirectories, loop: DirectoryLoop, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stand.logs.interrupted_copies = {T0: stand.two}
    nursery.start_soon(loop.run)
    await until(lambda: place(stand) is stand.two)


def test_requests_are_grouped() -> None:
    one, two, topic, other = (Uuid(bytes([number]) * 16) for number in (1, 2, 3, 4))
    keys = [TopicIdPartition(topic, "t", 0), TopicIdPartition(other, "u", 5), TopicIdPartition(topic, "t", 1)]
    request = assignment_request(9, 8, {one: keys, two: keys[:1]})
    assert (request.broker_id, request.broker_epoch) == (9, 8)
    assert [
        (row.id, [(each.topic_id, [part.partition_index for part in each.partitions]) for each in row.topics])
        for row in request.directories
    ] == [(one, [(topic, [0, 1]), (other, [5])]), (two, [(topic, [0])])]


def test_all_codes_of_an_answer() -> None:
    rows = [AssignReplicasToDirsResponsePartitionData(0, 0), AssignReplicasToDirsResponsePartitionData(1, 3)]
    topics = [AssignReplicasToDirsResponseTopicData(partitions=rows)]
    directories = [AssignReplicasToDirsResponseDirectoryData(topics=topics)]
    assert codes(AssignReplicasToDirsResponse(error_code=5, directories=directories)) == {5, 0, 3}
