"""A data directory with a damaged file: the broker serves what is left, or says in one line why it cannot start."""

import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import trio
import trio.testing

from pykbroker.broker import Broker, StartError
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from pykbroker.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from pykbroker.record.builder import build_batch
from tools.fuzz.broker import EPOCH_MS, IN_MEMORY, RATE, SETTINGS, TOPICS, Complaints, Target, VirtualClock
from tools.fuzz.broker import create_topics as create
from tools.fuzz.broker import join_group as join
from tools.fuzz.findings import Finding
from tools.fuzz.mutate import Mutator

FEW_FILES = {"offsets.topic.num.partitions": "1", "transaction.state.log.num.partitions": "1"}
Result = TypeVar("Result")
NOT_OURS = (".lock",)


def run(seed: int, inputs: int) -> Iterator[Finding]:
    logging.getLogger().setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="pykbroker-fuzz-", dir=IN_MEMORY) as folder:
        originals = [Path(folder) / "clean", Path(folder) / "killed"]
        _run(_fill, originals[0], originals[1])
        files = [path for path in originals[0].rglob("*") if path.is_file() and path.name not in NOT_OURS]
        mutator = Mutator(seed, [path.read_bytes() for path in files])
        for _ in range(inputs):
            original = mutator.random.choice(originals)
            work = Path(folder) / "work"
            shutil.copytree(original, work)
            name, data = damage(mutator, work)
            yield from (Finding("disk", f"{original.name} {name}: {what}", data) for what in _run(_start, work))
            shutil.rmtree(work)


def damage(mutator: Mutator, folder: Path) -> tuple[str, bytes]:
    """One file changed, emptied, lengthened or gone; its name and what became of it."""
    path = mutator.random.choice(sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in NOT_OURS))
    way = mutator.random.randrange(10)
    if way == 0:
        path.unlink()
        return f"{path.relative_to(folder)} removed", b""
    data = path.read_bytes()
    changed = b"" if way == 1 else data + bytes(4096) if way == 2 else mutator.mutate(data)
    path.write_bytes(changed)
    return str(path.relative_to(folder)), changed


def _run(function: Callable[..., Awaitable[Result]], *arguments: Path) -> Result:
    clock = trio.testing.MockClock(rate=RATE)
    return trio.run(function, VirtualClock(clock), *arguments, clock=clock)


def _broker(clock: VirtualClock, folder: Path) -> Broker:
    settings = {**SETTINGS, **FEW_FILES, "listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": str(folder)}
    return Broker(BrokerConfig(settings), clock)


async def _fill(clock: VirtualClock, folder: Path, killed: Path) -> None:
    """Topics with records, a group with offsets; copied to `killed` as it is while the broker runs."""
    broker = _broker(clock, folder)
    ready = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.run, lambda host, port: ready.set())
        await ready.wait()
        target = Target(broker)
        await create(target)
        await join(target)
        for number in range(10):
            await target.ask(_produce(number), 9)
        await target.ask(_commit(), 5)
        await trio.to_thread.run_sync(shutil.copytree, folder, killed)
        broker.stop()


async def _start(clock: VirtualClock, folder: Path) -> list[str]:
    """What went wrong that should not."""
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    errors: list[str] = []
    try:
        await _serve_once(_broker(clock, folder))
    except* StartError:
        pass  # one clear line
    except* Exception as group:
        errors = [repr(error) for error in _leaves(group)]
    finally:
        logging.getLogger().removeHandler(complaints)
    return errors + [what for what in complaints.take() if "Traceback" in what]


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _serve_once(broker: Broker) -> None:
    ready = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.run, lambda host, port: ready.set())
        await ready.wait()
        target = Target(broker)
        await target.ask(_fetch(), 12)
        await target.ask(_offsets(), 5)
        await target.ask(_produce(11), 9)
        broker.stop()


def _produce(number: int) -> ProduceRequest:
    records = bytes(build_batch([(b"k", b"v" * 100 * number, [], EPOCH_MS)], codec=number % 5))
    rows = [PartitionProduceData(index=0, records=records)]
    topics = [TopicProduceData(name=name, partition_data=rows) for name in TOPICS]
    return ProduceRequest(acks=-1, timeout_ms=5000, topic_data=topics)


def _commit() -> OffsetCommitRequest:
    rows = [OffsetCommitRequestPartition(partition_index=0, committed_offset=3)]
    return OffsetCommitRequest(group_id="other", topics=[OffsetCommitRequestTopic(name=TOPICS[0], partitions=rows)])


def _offsets() -> OffsetFetchRequest:
    topics = [OffsetFetchRequestTopic(name=TOPICS[0], partition_indexes=[0])]
    return OffsetFetchRequest(group_id="other", topics=topics)


def _fetch() -> FetchRequest:
    rows = [FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=100_000)]
    topics = [FetchTopic(topic=name, partitions=rows) for name in TOPICS]
    return FetchRequest(max_wait_ms=1, min_bytes=1, max_bytes=1_000_000, session_epoch=-1, topics=topics)
