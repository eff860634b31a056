"""The observer over channels made of a script: who is asked, when it has started, what it cannot survive."""

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio
import trio.testing

from pykbroker.errors import NodeUnreachable
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.fetch import FetchRequest, FetchResponse
from pykbroker.raft.metadata_loader import MetadataLoader
from pykbroker.raft.observer import Address, Observer, WrongCluster
from pykbroker.raft.observer_loop import ObserverLoop
from pykbroker.raft.snapshot import SnapshotId
from pykbroker.raft.snapshot_generator import SnapshotGenerator
from tests.controller.nodes import TrioClock
from tests.raft.logs import config
from tests.raft.test_observer import DIRECTORY, A, B, batch, fetched
from tests.raft.test_observer_log import open_log

BOTH = {1: (4, 18), 59: (0, 1)}


class Script:
    """Gives the answers in order, then lets fetches wait; an exception is raised in place of an answer."""

    def __init__(self, *answers: Message | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Address, int, Message]] = []
        self.open: set[Address] = set()
        self.versions: dict[int, tuple[int, int]] = BOTH
        self.more = trio.Event()

    def connect(self, where: Address, client_id: str) -> "Channel":
        assert client_id == "raft-client-2"
        return Channel(self, where)


class Channel:
    def __init__(self, script: Script, where: Address) -> None:
        self.script, self.where = script, where
        script.open.add(where)

    async def api_versions(self, *, timeout: float) -> Mapping[int, tuple[int, int]]:
        await trio.lowlevel.checkpoint()
        return self.script.versions

    async def send(self, api_key: int, version: int, request: Message, *, timeout: float) -> Message:
        self.script.asked.append((self.where, version, request))
        if not self.script.answers:
            await trio.sleep(0.5)
            return fetched(epoch=1, high_watermark=0)
        await trio.lowlevel.checkpoint()
        answer = self.script.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.script.open.discard(self.where)


class Stand:
    def __init__(self, folder: Path, script: Script, **settings: object) -> None:
        chosen, clock = config(**settings), TrioClock()
        self.log = open_log(folder)
        self.publisher = MetadataPublisher("c")
        self.observer = Observer(
            node_id=2,
            cluster_id="c",
            directory_id=DIRECTORY,
            voters={},
            bootstrap=[B],
            log=self.log,
            config=chosen,
            rng=random.Random(1),
        )
        self.loop = ObserverLoop(
            self.observer,
            MetadataLoader(self.log, self.publisher),
            SnapshotGenerator(self.log, lambda: self.publisher.image, chosen, clock),
            script.connect,  # type: ignore[arg-type]
            clock,
            "raft-client-2",
        )


async def test_it_has_started_when_all_that_is_committed_is_published(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    script = Script(
        fetched(error=ErrorCode.FENCED_LEADER_EPOCH),
        fetched(batch(0, "a"), high_watermark=2),
        fetched(batch(1, "b"), high_watermark=2),
    )
    stand = Stand(tmp_path, script)
    await nursery.start(stand.loop.run)
    assert stand.publisher.image.offset == 1
    assert [where for where, _, _ in script.asked][:3] == [B, A, A]
    assert (script.open, stand.loop.versions) == ({A}, BOTH)
    nursery.cancel_scope.cancel()


async def test_the_channel_is_closed_in_the_end(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    script = Script(fetched(batch(0, "a"), high_watermark=1))
    stand = Stand(tmp_path, script)
    async with trio.open_nursery() as nursery:
        await nursery.start(stand.loop.run)
        nursery.cancel_scope.cancel()
    assert not script.open


async def test_failures_are_followed_by_pauses(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    script = Script(*[NodeUnreachable("refused")] * 3, fetched(batch(0, "a"), high_watermark=1))
    stand = Stand(tmp_path, script)
    start = trio.current_time()
    await nursery.start(stand.loop.run)
    assert trio.current_time() - start == pytest.approx(0.02 + 0.04 + 0.08, abs=0.001)
    nursery.cancel_scope.cancel()


async def test_an_older_controller_is_asked_in_its_version(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    script = Script(fetched(batch(0, "a"), high_watermark=1))
    script.versions = {1: (4, 16)}
    await nursery.start(Stand(tmp_path, script).loop.run)
    assert script.asked[0][1] == 16
    assert isinstance(script.asked[0][2], FetchRequest)
    nursery.cancel_scope.cancel()


async def test_what_is_no_controller_is_said_to_be_none(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    script = Script()
    script.versions = {3: (0, 13)}
    stand = Stand(tmp_path, script)
    with trio.move_on_after(5):
        await nursery.start(stand.loop.run)
    assert stand.observer.last_failure.startswith("b:2 has no version of Fetch that this node has")
    assert not script.asked


async def test_another_cluster_ends_it(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    script = Script(FetchResponse(error_code=ErrorCode.INCONSISTENT_CLUSTER_ID))
    with pytest.raises(WrongCluster):
        await Stand(tmp_path, script).loop.run()


async def test_a_snapshot_is_written_beside_the_fetches(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    script = Script(fetched(batch(0, "a"), high_watermark=1))
    stand = Stand(tmp_path, script, metadata_log_max_record_bytes_between_snapshots=1)
    await nursery.start(stand.loop.run)
    while stand.log.latest_snapshot() is None:  # noqa: ASYNC110  # the time is virtual, and a thread may have to end
        await trio.sleep(0.1)
    assert stand.log.latest_snapshot() == SnapshotId(1, 1)
    nursery.cancel_scope.cancel()


async def test_a_snapshot_that_cannot_be_written_ends_it(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    script = Script(fetched(batch(0, "a"), high_watermark=1))
    stand = Stand(tmp_path, script, metadata_log_max_record_bytes_between_snapshots=1)
    (tmp_path / "__cluster_metadata-0" / f"{1:020}-{1:010}.checkpoint.part").mkdir()
    with pytest.raises(IsADirectoryError):
        await stand.loop.run()
    assert not script.open
