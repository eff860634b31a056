"""A whole broker with two log directories: replicas move, a directory fails, a restart finds everything."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from pykbroker.broker import Broker, BrokerFailure
from pykbroker.cli.run_broker import LoopClock
from pykbroker.ids import TopicPartition
from pykbroker.log.log_manager import LogDirectory
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from tests.test_broker import Client, create, fetched, loop_clock, produce, running

__all__ = ["loop_clock"]
T0 = TopicPartition("t", 0)
HEARTBEATS = {"broker_heartbeat_interval_ms": "20"}


def two(folder: Path) -> dict[str, str]:
    return {"log_dirs": f"{folder / 'one'},{folder / 'two'}", **HEARTBEATS}


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not holds():
            await trio.testing.wait_all_tasks_blocked()


def assigned(broker: Broker) -> list[int]:
    """The numbers of the directories that the cluster knows for t's partitions."""
    topic = broker.image.topics.get("t")
    assert topic is not None
    ids = [directory.id for directory in broker.logs.directories]
    found = [partition.directory(broker.node_id) for _, partition in sorted(topic.partitions.items())]
    return [ids.index(each) if each in ids else -1 for each in found]


def place(broker: Broker) -> LogDirectory:
    directory = broker.logs.directory_of(T0)
    assert directory is not None
    return directory


async def test_a_replica_moves_and_stays_there(tmp_path: Path, loop_clock: LoopClock) -> None:
    async with running(tmp_path, **two(tmp_path)) as (broker, client):
        await create(client, "t", partitions=2)
        await until(lambda: sorted(assigned(broker)) == [0, 1])
        await produce(client, "t", b"before")
        target = next(each for each in broker.logs.directories if each is not place(broker))
        broker.replicas.directories.alter(T0, target.path)
        await until(lambda: not broker.replicas.directories.moves)
        assert place(broker) is target
        assert len(set(assigned(broker))) == 1, "both lie there now, and the cluster knows it"
        assert await produce(client, "t", b"after") == 1
    async with running(tmp_path, **two(tmp_path)) as (broker, client):
        assert place(broker).path == target.path
        records = await fetched(client, "t")
        assert b"before" in records
        assert b"after" in records


async def leader_of(client: Client, index: int) -> tuple[int, int]:
    """(error code, leader)."""
    request = MetadataRequest(topics=[MetadataRequestTopic(name="t")])
    (row,) = [row for row in (await client.ask(request, 12)).topics[0].partitions if row.partition_index == index]
    return row.error_code, row.leader_id


@pytest.mark.parametrize("which", ["metadata", "all"])
async def test_a_broker_stops_without_what_it_cannot_live_without(
    tmp_path: Path, loop_clock: LoopClock, which: str
) -> None:
    """Kafka halts when the directory of the metadata log fails, and when the last one does."""
    places = two(tmp_path)
    if which == "all":
        places["metadata_log_dir"] = str(tmp_path / "metadata")

    async def fail() -> None:
        async with running(tmp_path, **places) as (broker, client):
            await create(client, "t", partitions=2)
            broker.logs.fail(broker.logs.directories[1 if which == "all" else 0], OSError("broken"))
            if which == "all":
                assert not broker.is_stopping
                broker.logs.fail(broker.logs.directories[0], OSError("broken"))
            assert broker.is_stopping

    with pytest.raises(ExceptionGroup) as caught:
        await fail()
    words = "the directory of the metadata log" if which == "metadata" else "all log directories have failed"
    assert caught.group_contains(BrokerFailure, match=words)
    clean = [(tmp_path / name / ".kafka_cleanshutdown").exists() for name in ("one", "two")]
    assert clean == [False, which == "metadata"], "what is well was closed in order"
    async with running(tmp_path, **places) as (broker, client):
        assert await leader_of(client, 0) == (0, broker.node_id)


async def test_a_directory_that_fails_has_no_leaders_until_it_is_back(tmp_path: Path, loop_clock: LoopClock) -> None:
    async with running(tmp_path, **two(tmp_path)) as (broker, client):
        await create(client, "t", partitions=2)
        await until(lambda: sorted(assigned(broker)) == [0, 1])
        bad = assigned(broker).index(1)
        await produce(client, "t", b"kept")
        broker.logs.fail(broker.logs.directories[1], OSError("broken"))
        await until(lambda: broker.image.topics.get("t").partitions[bad].leader == -1)  # type: ignore[union-attr]
        assert await leader_of(client, bad) == (ErrorCode.LEADER_NOT_AVAILABLE, -1)
        assert await leader_of(client, 1 - bad) == (0, broker.node_id)
        assert broker.image.brokers[broker.node_id].directories == (broker.logs.directories[0].id,)
    async with running(tmp_path, **two(tmp_path)) as (broker, client):
        assert await leader_of(client, bad) == (0, broker.node_id)
        assert b"kept" in await fetched(client, "t")
