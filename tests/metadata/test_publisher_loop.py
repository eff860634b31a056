from collections.abc import Iterator

import trio
import trio.testing

from pykbroker.clock import ManualClock
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.metadata.publisher_loop import PIECE, PublisherLoop
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from tests.metadata.history import uuid


class Work:
    """Steps of half a piece each."""

    def __init__(self, clock: ManualClock, steps: int) -> None:
        self.clock, self.steps = clock, steps
        self.done = 0

    def on_metadata_update(self, delta: MetadataDelta, image: MetadataImage) -> Iterator[None]:
        for _ in range(self.steps):
            self.clock.advance(PIECE / 2)
            self.done += 1
            yield


def publish(publisher: MetadataPublisher, offset: int) -> None:
    delta = MetadataDelta(publisher.newest)
    delta.replay(TopicRecord(name=f"t{offset}", topic_id=uuid(offset)))
    publisher.publish(delta, delta.apply(offset, 1))


async def test_long_work_gives_way_to_others() -> None:
    clock, publisher = ManualClock(), MetadataPublisher("c")
    work = Work(clock, 20)
    publisher.subscribe(work)
    loop = PublisherLoop(publisher, clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(loop.run)
        publish(publisher, 0)
        assert work.done == 2  # a piece, for whoever has published it
        publish(publisher, 1)
        assert work.done == 2  # no second one: it waits behind the first
        longest, before = 0, work.done
        while not publisher.is_settled:
            await trio.lowlevel.checkpoint()
            longest, before = max(longest, work.done - before), work.done
        assert longest <= 4  # a turn of ours may fall between two of the loop
        assert work.done == 40
        await loop.settled()
        assert publisher.applied.offset == 1
        nursery.cancel_scope.cancel()


async def test_short_work_is_done_at_once() -> None:
    clock, publisher = ManualClock(), MetadataPublisher("c")
    publisher.subscribe(Work(clock, 1))
    loop = PublisherLoop(publisher, clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(loop.run)
        publish(publisher, 0)
        assert publisher.applied.offset == 0
        await loop.settled()
        publish(publisher, 1)
        assert publisher.applied.offset == 1
        nursery.cancel_scope.cancel()


async def test_who_waits_for_all_to_know_waits_for_the_end() -> None:
    clock, publisher = ManualClock(), MetadataPublisher("c")
    work = Work(clock, 10)
    publisher.subscribe(work)
    loop = PublisherLoop(publisher, clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(loop.run)
        publish(publisher, 0)
        await loop.settled()
        assert work.done == 10
        nursery.cancel_scope.cancel()
