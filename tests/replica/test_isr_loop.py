"""ISR upkeep in virtual time."""

from typing import Any

import trio
from trio.testing import MockClock

from pykbroker.errors import KafkaError
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.alter_partition import AlterPartitionRequest, AlterPartitionResponse
from pykbroker.record.builder import build_batch
from pykbroker.replica.isr_loop import IsrLoop
from tests.replica.stand import NODE_ID, Stand, partition_image
from tests.replica.test_alter_partition import answer

IMAGE = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))


class TrioTime:
    """The stand's clock follows trio's."""

    def monotonic(self) -> float:
        return trio.current_time()

    def wall_ms(self) -> int:
        return 1_700_000_000_000


class Controller:
    """Answers, but for the first `failures` times."""

    def __init__(self, stand: Stand, failures: int = 0) -> None:
        self.stand = stand
        self.failures = failures
        self.asked: list[tuple[float, list[int]]] = []

    async def call(self, api_key: int, request: Any) -> AlterPartitionResponse:
        assert api_key == ApiKey.ALTER_PARTITION
        assert isinstance(request, AlterPartitionRequest)
        await trio.sleep(0.1)
        row = request.topics[0].partitions[0]
        isr = [member.broker_id for member in row.new_isr_with_epochs]
        self.asked.append((trio.current_time(), isr))
        if len(self.asked) <= self.failures:
            raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "no controller answers")
        response = answer(self.stand.partition("t"))
        answered = response.topics[0].partitions[0]
        answered.isr, answered.leader_epoch = isr, row.leader_epoch
        return response


async def run(stand: Stand, controller: Controller, seconds: float) -> None:
    assert stand.replicas.replication is not None
    loop = IsrLoop(stand.replicas, stand.replicas.replication, controller)
    with trio.move_on_after(seconds):
        await loop.run()


def led(stand: Stand) -> None:
    stand.clock = stand.replicas.clock = TrioTime()  # type: ignore[assignment]
    stand.register(NODE_ID, 2, epoch=50)
    stand.create("t")
    stand.set_partition("t", IMAGE._replace(leader_epoch=1))


def append(stand: Stand) -> None:
    records = build_batch([(b"k", b"v", [], 1_700_000_000_000)])
    stand.partition("t").append(records, 1, stand.clock.wall_ms())


async def test_a_replica_that_is_away_leaves(stand: Stand, autojump_clock: MockClock) -> None:
    """Looked for every half of replica.lag.time.max.ms."""
    led(stand)
    append(stand)
    controller = Controller(stand)
    start = trio.current_time()
    await run(stand, controller, 100)
    assert [(round(at - start, 1), isr) for at, isr in controller.asked] == [(45.1, [NODE_ID])]
    assert (stand.partition("t").isr, stand.partition("t").log.high_watermark) == ((NODE_ID,), 1)


async def test_the_controller_is_asked_until_it_answers(stand: Stand, autojump_clock: MockClock) -> None:
    led(stand)
    append(stand)
    controller = Controller(stand, failures=3)
    await run(stand, controller, 100)
    times = [at - controller.asked[0][0] for at, _ in controller.asked]
    assert [round(at, 2) for at in times] == [0, 0.15, 0.3, 0.45]
    assert stand.partition("t").isr == (NODE_ID,)


async def test_what_comes_up_is_sent_at_once(stand: Stand, autojump_clock: MockClock) -> None:
    led(stand)
    stand.set_partition("t", IMAGE._replace(isr=(NODE_ID,), leader_epoch=1))
    controller = Controller(stand)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, stand, controller, 10)
        await trio.sleep(1)
        stand.partition("t").follower_fetched(2, 0, 0, 0, 50)
    assert [(round(at - start, 1), isr) for at, isr in controller.asked] == [(1.1, [NODE_ID, 2])]
    assert stand.partition("t").isr == (NODE_ID, 2)
