"""flush.messages: a produce is answered after its fsync, which keeps nobody else waiting."""

import errno
import threading
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from pykbroker.errors import MalformedFrame
from pykbroker.handlers.broker import produce
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.produce import ProduceResponse
from pykbroker.request import RawResponse
from tests.handlers.broker.asker import Topic, batch, for_version, produce_request
from tests.replica.stand import Stand, context

VERSION = 12


class Disk:
    """Every fsync of a segment waits until the test lets it through; `begun` counts them."""

    def __init__(self, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        self.on_loop = 0
        self.error: OSError | None = None
        self._started = trio.Event()
        self._gate = threading.Semaphore(0)
        self._loop = threading.get_ident()
        monkeypatch.setattr(stand.logs.files, "fsync_directory", self.fsync_directory)

    def fsync_directory(self, _: str) -> None:
        """The first flush of a log does two; only the log's own counts."""

    def fsync(self, _: int) -> None:
        if threading.get_ident() == self._loop:
            self.on_loop += 1
            return
        trio.from_thread.run_sync(self._begin)
        assert self._gate.acquire(timeout=10)
        if self.error is not None:
            raise self.error

    def _begin(self) -> None:
        self.begun += 1
        self._started.set()

    async def started(self) -> None:
        with trio.fail_after(5):
            await self._started.wait()
        self._started = trio.Event()

    def let_through(self) -> None:
        self._gate.release(1000)


@pytest.fixture
def disk(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(stand, monkeypatch)
    monkeypatch.setattr(stand.logs.files, "fsync", disk.fsync)
    return disk


@pytest.fixture
def topic(stand: Stand, disk: Disk) -> Topic:
    return Topic("t", stand.create("t", 2, flush_messages="1"))


async def send(stand: Stand, topic: Topic, answers: list[tuple[int, int]], index: int = 0, acks: int = -1) -> None:
    """Adds (error code, base offset)."""
    request = for_version(produce_request(topic, [(index, batch())], acks=acks), VERSION)
    ctx = context(ApiKey.PRODUCE, VERSION)
    ctx.received_at = trio.current_time()
    found = produce.handle_frame(stand, ctx, memoryview(request.encode(VERSION)), 0)  # type: ignore[arg-type]
    raw = await found if isinstance(found, Awaitable) else found
    if acks == 0:
        assert raw is None
        return
    assert isinstance(raw, RawResponse)
    response, _ = ProduceResponse.decode(b"".join(raw.parts), VERSION)  # type: ignore[arg-type]
    row = response.responses[0].partition_responses[0]
    answers.append((row.error_code, row.base_offset))


@pytest.mark.parametrize("acks", [1, -1])
async def test_the_answer_waits_and_others_go_on(stand: Stand, disk: Disk, topic: Topic, acks: int) -> None:
    other = Topic("other", stand.create("other"))
    answers: list[tuple[int, int]] = []
    others: list[tuple[int, int]] = []
    log = stand.partition("t").log
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, stand, topic, answers, 0, acks)
        await disk.started()
        await send(stand, other, others)
        await trio.testing.wait_all_tasks_blocked()
        assert (answers, others, log.high_watermark, log.log_end_offset) == ([], [(0, 0)], 0, 1)
        disk.let_through()
    assert (answers, log.high_watermark, log.recovery_point, disk.on_loop) == ([(0, 0)], 1, 1, 0)


async def test_those_that_come_meanwhile_share_the_next_flush(
    stand: Stand, disk: Disk, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = stand.partition("t").log
    flushes: list[int] = []
    original = log.flush_job

    def flush_job(offset: int) -> Callable[[], None]:
        flushes.append(offset)
        return original(offset)

    monkeypatch.setattr(log, "flush_job", flush_job)
    answers: list[tuple[int, int]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, stand, topic, answers)
        await disk.started()
        for _ in range(3):
            nursery.start_soon(send, stand, topic, answers)
        await trio.testing.wait_all_tasks_blocked()
        assert (answers, flushes) == ([], [1])
        disk.let_through()
    assert (sorted(answers), flushes) == ([(0, 0), (0, 1), (0, 2), (0, 3)], [1, 4])
    assert log.high_watermark == 4


async def test_a_failed_fsync_is_kafka_storage_error(stand: Stand, disk: Disk, topic: Topic) -> None:
    answers: list[tuple[int, int]] = []
    disk.error = OSError(errno.EIO, "broken")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, stand, topic, answers)
        await disk.started()
        nursery.start_soon(send, stand, topic, answers)
        await trio.testing.wait_all_tasks_blocked()
        disk.let_through()
    assert answers == [(ErrorCode.KAFKA_STORAGE_ERROR, -1)] * 2
    assert stand.replicas.find("t", 0) is None
    await send(stand, topic, answers, 1)
    assert answers[-1] == (ErrorCode.KAFKA_STORAGE_ERROR, -1)  # all of the directory


async def test_acks_zero_that_fails_closes_the_connection(stand: Stand, disk: Disk, topic: Topic) -> None:
    disk.error = OSError(errno.EIO, "broken")
    disk.let_through()
    with pytest.raises(MalformedFrame):
        await send(stand, topic, [], acks=0)


async def test_a_connection_that_goes_away_takes_no_flush_along(stand: Stand, disk: Disk, topic: Topic) -> None:
    log = stand.partition("t").log
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, stand, topic, [])
        await disk.started()
        nursery.start_soon(send, stand, topic, [])
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        disk.let_through()
    assert (log.recovery_point, log.high_watermark) == (2, 2)
