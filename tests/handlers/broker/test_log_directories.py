"""A broker with two log directories, as AlterReplicaLogDirs and DescribeLogDirs tell it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from tests.handlers.broker.asker import MemoryAsker, Topic, batch, produce
from tests.handlers.broker.test_alter_replica_log_dirs import alter
from tests.replica.test_directory_move import TwoDirectories

Row = tuple[int, int, bool]


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[TwoDirectories]:
    stand = TwoDirectories(tmp_path)
    yield stand
    stand.close()


@pytest.fixture
def asker(stand: TwoDirectories) -> MemoryAsker:
    return MemoryAsker(stand)


@pytest.fixture
def topic(asker: MemoryAsker) -> Topic:
    topic = asker.create(segment_bytes="1048576")
    for _ in range(3):
        produce(asker, topic, [(0, batch(1, 500_000))])
    return topic


def rows(asker: MemoryAsker, topic: Topic) -> dict[str, list[Row]]:
    """(size, lag, whether it is a copy) by directory."""
    return {
        result.log_dir: [
            (row.partition_size, row.offset_lag, row.is_future_key)
            for found in result.topics
            for row in found.partitions
        ]
        for result in asker.ask(DescribeLogDirsRequest(topics=None), 4).results
        if [found.name for found in result.topics] in ([], [topic.name])
    }


def test_a_replica_on_its_way_is_told_of_twice(asker: MemoryAsker, stand: TwoDirectories, topic: Topic) -> None:
    size = stand.partition(topic.name).log.size
    assert rows(asker, topic) == {stand.one.path: [(size, 0, False)], stand.two.path: []}
    assert alter(asker, (stand.two.path, topic.name, [0])) == {(topic.name, 0): 0}
    (move,) = stand.directories.moves.values()
    stand.directories.start(move)
    assert rows(asker, topic)[stand.two.path] == [(0, 3, True)]
    assert move.copy is not None
    copying = move.copy.next_round()
    assert copying is not None
    copying.job()
    move.copy.copied(copying)
    produce(asker, topic, [(0, batch(1))])
    told = rows(asker, topic)
    assert told[stand.one.path][0][2] is False
    ((copied, lag, is_future),) = told[stand.two.path]
    assert (copied >= 500_000, lag, is_future) == (
        True,
        stand.partition(topic.name).log.log_end_offset - move.copy.end_offset,
        True,
    )
    while (copying := move.copy.next_round()) is not None:
        copying.job()
        move.copy.copied(copying)
    stand.directories.finish(move)
    size = stand.partition(topic.name).log.size
    assert rows(asker, topic) == {stand.one.path: [], stand.two.path: [(size, 0, False)]}
    assert alter(asker, (stand.two.path, topic.name, [0])) == {(topic.name, 0): 0}
    assert not stand.directories.moves


def test_with_a_directory_offline_nothing_moves(asker: MemoryAsker, stand: TwoDirectories, topic: Topic) -> None:
    stand.logs.fail(stand.two, OSError("broken"))
    assert alter(asker, (stand.two.path, topic.name, [0])) == {(topic.name, 0): ErrorCode.KAFKA_STORAGE_ERROR}
    assert alter(asker, (stand.one.path, topic.name, [0])) == {(topic.name, 0): 0}
