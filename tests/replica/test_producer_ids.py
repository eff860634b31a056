import pytest
import trio
import trio.testing

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.producer_ids import ProducerIdManager


class Controller:
    """Gives blocks of three, each after a moment; fails as long as `broken`."""

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    async def allocate_producer_ids(self) -> tuple[int, int]:
        self.asked += 1
        first = self.asked * 100
        await trio.sleep(1)
        if self.broken:
            raise KafkaError(ErrorCode.NOT_CONTROLLER)
        return first, 3


async def test_blocks_are_used_up(autojump_clock: trio.testing.MockClock) -> None:
    ids = ProducerIdManager(Controller())
    assert [await ids.next() for _ in range(7)] == [100, 101, 102, 200, 201, 202, 300]


async def test_a_crowd_asks_once(autojump_clock: trio.testing.MockClock) -> None:
    controller = Controller()
    ids = ProducerIdManager(controller)
    given: list[int] = []

    async def one() -> None:
        given.append(await ids.next())

    async with trio.open_nursery() as nursery:
        for _ in range(7):
            nursery.start_soon(one)
    assert sorted(given) == [100, 101, 102, 200, 201, 202, 300]
    assert controller.asked == 3


async def test_without_a_controller_clients_try_again(autojump_clock: trio.testing.MockClock) -> None:
    controller = Controller()
    controller.broken = True
    ids = ProducerIdManager(controller)
    for _ in range(2):
        with pytest.raises(KafkaError) as caught:
            await ids.next()
        assert caught.value.code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    controller.broken = False
    assert await ids.next() == 300


async def test_who_goes_away_lets_the_next_one_ask(autojump_clock: trio.testing.MockClock) -> None:
    controller = Controller()
    ids = ProducerIdManager(controller)

    async def impatient() -> None:
        with trio.move_on_after(0.5):
            await ids.next()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(impatient)
        await trio.testing.wait_all_tasks_blocked()
        assert await ids.next() == 200
    assert controller.asked == 2


async def test_one_at_a_time_without_waiting(autojump_clock: trio.testing.MockClock) -> None:
    controller = Controller()
    ids = ProducerIdManager(controller)
    assert ids.take() is None
    await ids.reserve()
    await ids.reserve()
    assert controller.asked == 1
    assert [ids.take() for _ in range(4)] == [100, 101, 102, None]
