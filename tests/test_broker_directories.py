"""A whole broker with two log directories: replicas move, a directory fails, a restart finds everything."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from pykbroker.broker import Broker, BrokerFailure
from pykbroker.cli.run_broker import LoopClock
from pykbroker.ids import TopicPartition
from pykbroker.log.files import Buffer, Files
from pykbroker.log.log_manager import LogDirectory
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pykbroker.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from pykbroker.record.batch import iterate_batches
from pykbroker.record.builder import build_batch
from pykbroker.record.reader import iterate_records
from tests.test_broker import Client, create, fetch_request, fetched, loop_clock, produce, running, running_on

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


class FailingDisk(Files):
    """The disk under one directory: full beyond so many bytes, as a real one down to the part of a write that fits;
    or broken altogether."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.room = 1 << 40
        self.is_broken = False

    def pwrite(self, fd: int, data: Buffer, position: int) -> int:
        if not os.readlink(f"/proc/self/fd/{fd}").startswith(self.path):
            return super().pwrite(fd, data, position)
        if self.is_broken:
            raise OSError(errno.EIO, "Input/output error")
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().pwrite(fd, memoryview(data)[: self.room], position)
        self.room -= written
        return written


async def produced(client: Client, index: int, value: bytes) -> int:
    """The error code."""
    batch = bytes(build_batch([(None, value, [], 1_700_000_000_000)]))
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=index, records=batch)])
    response = await client.ask(ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]), 9)
    return int(response.responses[0].partition_responses[0].error_code)


async def values(client: Client, index: int) -> list[bytes]:
    request = fetch_request("t")
    request.topics[0].partitions[0].partition = index
    (row,) = (await client.ask(request, 12)).responses[0].partitions
    assert row.error_code == 0
    return [
        bytes(record.value or b"")
        for _, at in iterate_batches(row.records)
        for record in iterate_records(row.records, at)
    ]


@pytest.mark.parametrize("how", ["full", "broken"])
async def test_a_disk_that_fails_costs_its_directory_and_no_acknowledged_record(
    tmp_path: Path, loop_clock: LoopClock, how: str
) -> None:
    """The last write is torn in the middle of a batch; other partitions are served on; with room again all is well."""
    disk = FailingDisk(tmp_path / "two")
    async with running_on(tmp_path, disk, two(tmp_path)) as (broker, client):
        await create(client, "t", partitions=2)
        await until(lambda: sorted(assigned(broker)) == [0, 1])
        bad = assigned(broker).index(1)
        for index in (0, 1):
            assert await produced(client, index, b"kept") == 0
        disk.room, disk.is_broken = 100, how == "broken"
        assert await produced(client, bad, b"lost" * 100) == ErrorCode.KAFKA_STORAGE_ERROR
        assert await produced(client, bad, b"lost") in (
            ErrorCode.KAFKA_STORAGE_ERROR,
            ErrorCode.NOT_LEADER_OR_FOLLOWER,
        )
        assert await produced(client, 1 - bad, b"goes on") == 0
        assert await values(client, 1 - bad) == [b"kept", b"goes on"]
        await until(lambda: broker.image.topics.get("t").partitions[bad].leader == -1)  # type: ignore[union-attr]
    async with running(tmp_path, **two(tmp_path)) as (broker, client):
        assert await values(client, bad) == [b"kept"]
        assert await produced(client, bad, b"again") == 0
        assert await values(client, bad) == [b"kept", b"again"]
        assert await values(client, 1 - bad) == [b"kept", b"goes on"]


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
