import threading

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pykbroker.controller.controller_loop import ControllerLoop
from pykbroker.controller.result import ControllerResult
from pykbroker.protocol.apis import ApiKey
from pykbroker.raft import snapshot
from tests.controller.nodes import ControllerNode, LosingFiles, TrioClock
from tests.raft.logs import setting


class SlowDisk(LosingFiles):
    """An fsync that takes until it is told to end, and may fail."""

    def __init__(self):
        super().__init__()
        self.is_slow = False
        self.began, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.count = 0
        self.error = None

    def fsync(self, fd):
        if self.is_slow:
            self.began.release()
            self.go_on.acquire()
            self.count += 1
        if self.error is not None:
            raise self.error
        super().fsync(fd)

    async def wait_until_it_began(self):
        await trio.to_thread.run_sync(self.began.acquire)


def answer(value, *names):
    return lambda _image: ControllerResult([setting(name) for name in names], value)


@pytest.fixture
def disk():
    return SlowDisk()


@pytest.fixture
async def node(tmp_path, disk, mock_clock: MockClock):
    return ControllerNode(tmp_path, clock=TrioClock(), files=disk).start()


async def test_an_answer_comes_when_the_disk_has_it(node, disk, nursery):
    await nursery.start(ControllerLoop(node.controller).run)
    disk.is_slow = True
    pending = node.controller.submit(answer(1, "a"))
    await disk.wait_until_it_began()
    assert not pending.done
    assert node.image.configs.topic("t") == {}
    disk.go_on.release()
    assert await pending.wait() == 1
    assert node.image.configs.topic("t") == {"a": "v"}
    nursery.cancel_scope.cancel()


async def test_while_the_disk_is_busy_requests_gather(node, disk, nursery):
    await nursery.start(ControllerLoop(node.controller).run)
    disk.is_slow = True
    first = node.controller.submit(answer(0, "a"))
    await disk.wait_until_it_began()
    others = [node.controller.submit(answer(number, f"b{number}")) for number in range(1, 6)]
    disk.go_on.release()
    assert await first.wait() == 0
    assert not any(pending.done for pending in others)
    await disk.wait_until_it_began()
    disk.go_on.release()
    assert [await pending.wait() for pending in others] == [1, 2, 3, 4, 5]
    assert disk.count == 2
    nursery.cancel_scope.cancel()


async def test_a_failing_disk_stops_the_node_and_answers_nobody(node, disk):
    disk.error = OSError(5, "Input/output error")
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with trio.open_nursery() as nursery:
            await nursery.start(ControllerLoop(node.controller).run)
            pending = node.controller.submit(answer(1, "a"))
            await pending.wait()
    assert caught.group_contains(OSError, match="Input/output")
    assert not pending.done
    assert node.image.configs.topic("t") == {}


async def test_a_follower_that_fails_stops_the_node(node):
    class Follower:
        def on_metadata_update(self, delta, image):
            if "a" in image.configs.topic("t"):
                raise RuntimeError("cannot follow")

    node.publisher.subscribe(Follower())
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with trio.open_nursery() as nursery:
            await nursery.start(ControllerLoop(node.controller).run)
            await node.controller.submit(answer(1, "a")).wait()
    assert caught.group_contains(RuntimeError, match="cannot follow")


async def test_silent_brokers_are_fenced_in_time(node, nursery, mock_clock: MockClock):
    node.bring_up(1, 2)
    await nursery.start(ControllerLoop(node.controller).run)
    await wait_all_tasks_blocked()
    mock_clock.jump(8.9)
    await wait_all_tasks_blocked()
    assert not node.controller.image.brokers[2].fenced
    mock_clock.jump(0.2)
    while not node.image.brokers[2].fenced:
        await trio.testing.wait_all_tasks_blocked()
    assert not node.image.brokers[1].fenced
    nursery.cancel_scope.cancel()


async def test_a_snapshot_is_written_an_hour_after_a_change(node, nursery, mock_clock: MockClock):
    await nursery.start(ControllerLoop(node.controller).run)
    await node.controller.submit(answer(1, "a")).wait()
    await wait_all_tasks_blocked()
    mock_clock.jump(3599)
    await wait_all_tasks_blocked()
    assert snapshot.find_snapshots(node.log.directory) == []
    mock_clock.jump(2)
    while node.log.bytes_since_snapshot:
        await wait_all_tasks_blocked()
    [found] = snapshot.find_snapshots(node.log.directory)
    assert found.end_offset == node.image.offset + 1
    nursery.cancel_scope.cancel()


async def test_a_snapshot_holds_up_nobody(node, nursery, monkeypatch):
    begin, go_on = threading.Event(), threading.Event()
    make_job = node.controller.snapshot_job

    def slow_job():
        job = make_job()

        def slowly():
            begin.set()
            go_on.wait()
            return job()

        return slowly

    monkeypatch.setattr(node.controller, "snapshot_job", slow_job)
    node.config.metadata_log_max_record_bytes_between_snapshots = 1
    await nursery.start(ControllerLoop(node.controller).run)
    assert await node.controller.submit(answer(1, "a")).wait() == 1
    await trio.to_thread.run_sync(begin.wait)
    for number in range(3):
        assert await node.controller.submit(answer(number, "b")).wait() == number
    assert snapshot.find_snapshots(node.log.directory) == []
    end = node.image.offset
    go_on.set()
    while not (found := snapshot.find_snapshots(node.log.directory)):
        await wait_all_tasks_blocked()
    assert found[0].end_offset == end + 1 - 3
    nursery.cancel_scope.cancel()


async def test_a_snapshot_that_cannot_be_written_stops_the_node(node, monkeypatch):
    def failing():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(node.controller, "snapshot_job", lambda: failing)
    node.config.metadata_log_max_record_bytes_between_snapshots = 1
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with trio.open_nursery() as nursery:
            await nursery.start(ControllerLoop(node.controller).run)
            await node.controller.submit(answer(1, "a")).wait()
    assert caught.group_contains(OSError, match="No space")


async def test_an_idle_loop_sleeps(node, nursery, mock_clock: MockClock, monkeypatch):
    node.bring_up(1)
    looked = []
    due = node.controller.is_snapshot_due
    monkeypatch.setattr(node.controller, "is_snapshot_due", lambda at: looked.append(at) or due(at))
    await nursery.start(ControllerLoop(node.controller).run)
    await wait_all_tasks_blocked()
    # The snapshot for what the start wrote, and then nothing for days.
    for _ in range(48):
        mock_clock.jump(3600)
        for _ in range(20):
            await wait_all_tasks_blocked()
    assert len(looked) < 20
    nursery.cancel_scope.cancel()


async def test_without_the_loop_writes_are_durable_at_once(node, nursery):
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as inner:
            await inner.start(ControllerLoop(node.controller).run)
            scope.cancel()
    assert node.controller.submit(answer(1, "a")).result() == 1
    assert node.image.configs.topic("t") == {"a": "v"}


async def test_a_loop_that_was_held_up_reads_heartbeats_before_it_fences(node, nursery, mock_clock):
    node.bring_up(2, 3)
    await nursery.start(ControllerLoop(node.controller).run)
    await wait_all_tasks_blocked()

    async def read_what_came():
        for _ in range(5):  # by the poller, the connection, its handler
            await trio.lowlevel.checkpoint()
        await node.link.call(ApiKey.BROKER_HEARTBEAT, node.heartbeat_request(2))

    # As after SIGSTOP: nothing ran for longer than a session, and what 2 has said meanwhile is still to be read.
    nursery.start_soon(read_what_came)
    mock_clock.jump(30)
    with trio.fail_after(60):
        await node.controller.submit(answer(None, "a")).wait()
        while not node.image.brokers[3].fenced:
            await trio.lowlevel.checkpoint()
    assert not node.image.brokers[2].fenced
    nursery.cancel_scope.cancel()
