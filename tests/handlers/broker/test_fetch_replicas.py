"""Fetches of followers, and of consumers that a follower serves: what the leader notes, tells and holds back."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from pykbroker.config.validate_node import RACK_AWARE
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ReplicaState
from pykbroker.record.builder import build_batch
from pykbroker.replica.isr import InSyncReplicas
from pykbroker.replica.replication import ReplicationSettings
from tests.handlers.broker.test_fetch_waiting import Client, after
from tests.replica.stand import NODE_ID, Stand, partition_image

FOLLOWER, EPOCH = 2, 50
SIZE = len(build_batch([(b"k", b"x" * 100, [], 1_700_000_000_000)]))
IMAGE = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, FOLLOWER), isr=(NODE_ID, FOLLOWER))


def append(stand: Stand) -> None:
    records = build_batch([(b"k", b"x" * 100, [], 1_700_000_000_000)])
    stand.partition("t").append(records, 1, stand.clock.wall_ms())


class Replica(Client):
    """A follower; its broker epoch may be another's."""

    async def poll(self, offset: int, epoch: int = EPOCH, **fields: Any) -> Any:
        state = ReplicaState(FOLLOWER, epoch)
        await self.fetch(offset, **{"max_wait_ms": 500, "replica_state": state, **fields})
        return self.row


def led(stand: Stand, isr: tuple[int, ...] = (NODE_ID, FOLLOWER), **configs: str) -> Uuid:
    stand.register(NODE_ID, FOLLOWER, epoch=EPOCH)
    topic_id = stand.create("t", **configs)
    stand.set_partition("t", IMAGE._replace(isr=isr))
    return topic_id


def in_sync(stand: Stand) -> InSyncReplicas:
    replicas = stand.partition("t").in_sync
    assert replicas is not None
    return replicas


async def test_followers_read_what_is_not_committed_and_hear_of_it_later(stand: Stand) -> None:
    replica = Replica(stand, led(stand))
    append(stand)
    row = await replica.poll(0)
    assert (len(row.records), row.high_watermark) == (SIZE, 0)
    assert stand.partition("t").log.high_watermark == 0
    row = await replica.poll(1, max_wait_ms=0)
    assert (len(row.records), row.high_watermark) == (0, 0), "as it was when the fetch came"
    assert stand.partition("t").log.high_watermark == 1
    row = await replica.poll(1, max_wait_ms=0)
    assert row.high_watermark == 1


async def test_a_consumer_waits_for_what_is_committed(stand: Stand, autojump_clock: MockClock) -> None:
    """Not for the append: the follower's fetch wakes it."""
    topic_id = led(stand)
    consumer, replica = Client(stand, topic_id), Replica(stand, topic_id)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(consumer.fetch)
        nursery.start_soon(after, 1, append, stand)
        await trio.sleep(2)
        await replica.poll(0)
        await trio.sleep(1)
        await replica.poll(1, max_wait_ms=0)
    assert consumer.at == pytest.approx(3)
    assert len(consumer.row.records) == SIZE


async def test_a_follower_is_woken_by_an_append(stand: Stand, autojump_clock: MockClock) -> None:
    replica = Replica(stand, led(stand))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(after, 0.2, append, stand)
        row = await replica.poll(0)
    assert (len(row.records), replica.at) == (SIZE, pytest.approx(0.2))
    assert not stand.partition("t").end_waiters


async def test_the_high_watermark_alone_wakes_no_follower(stand: Stand, autojump_clock: MockClock) -> None:
    replica = Replica(stand, led(stand))
    append(stand)
    await replica.poll(0)
    row = await replica.poll(1)
    assert (replica.at, row.high_watermark) == (pytest.approx(0.5), 1)


async def test_waiting_says_nothing_new_of_a_follower(stand: Stand, autojump_clock: MockClock) -> None:
    """When it is answered it has what it had when it asked."""
    replica = Replica(stand, led(stand))
    stand.clock.advance(100)
    before = stand.clock.monotonic()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(after, 0.2, stand.clock.advance, 5)
        nursery.start_soon(after, 0.3, append, stand)
        await replica.poll(0)
    follower = in_sync(stand).followers[FOLLOWER]
    assert (follower.last_fetch, follower.last_caught_up, follower.log_end_offset) == (before, before, 0)


async def test_a_fetch_of_an_earlier_life(stand: Stand) -> None:
    replica = Replica(stand, led(stand))
    append(stand)
    row = await replica.poll(1, EPOCH - 1)
    assert row.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert (row.records, stand.partition("t").log.high_watermark) == (b"", 0)


async def test_a_stranger(stand: Stand) -> None:
    replica = Replica(stand, led(stand))
    await replica.fetch(0, replica_state=ReplicaState(7, EPOCH), max_wait_ms=500)
    assert replica.row.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER


async def test_an_offset_that_is_not_there_is_no_progress(stand: Stand) -> None:
    replica = Replica(stand, led(stand))
    row = await replica.poll(9)
    assert row.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert in_sync(stand).followers[FOLLOWER].log_end_offset == -1


async def test_a_diverging_log_is_no_progress(stand: Stand) -> None:
    replica = Replica(stand, led(stand), version=18)
    append(stand)
    state = ReplicaState(FOLLOWER, EPOCH)
    wanted = FetchPartition(0, current_leader_epoch=0, fetch_offset=5, last_fetched_epoch=0, partition_max_bytes=100)
    request = FetchRequest(replica_state=state, session_epoch=-1, topics=[FetchTopic(topic_id=replica.topic_id)])
    request.topics[0].partitions = [wanted]
    await replica.ask(request)
    assert (replica.row.diverging_epoch.epoch, replica.row.diverging_epoch.end_offset) == (0, 1)
    assert in_sync(stand).followers[FOLLOWER].log_end_offset == -1


# The throttle of leaders


async def throttled(stand: Stand, isr: tuple[int, ...]) -> Replica:
    stand.replicas.replication_settings = lambda: ReplicationSettings(leader_rate=1)
    replica = Replica(stand, led(stand, isr, leader_replication_throttled_replicas=f"0:{NODE_ID}"))
    append(stand)
    append(stand)
    assert (await replica.poll(0, partition_max=SIZE)).records
    return replica


async def test_replicas_out_of_sync_are_held_back(stand: Stand, autojump_clock: MockClock) -> None:
    replica = await throttled(stand, (NODE_ID,))
    row = await replica.poll(1)
    assert (row.error_code, row.records, replica.at) == (0, b"", pytest.approx(0.5))
    stand.clock.advance(600)
    assert (await replica.poll(1)).records


async def test_replicas_in_sync_are_not(stand: Stand) -> None:
    replica = await throttled(stand, (NODE_ID, FOLLOWER))
    assert (await replica.poll(1)).records


# Consumers and the rack that they are in (KIP-392)


def racks(stand: Stand, selector: str | None = RACK_AWARE) -> Client:
    stand.config = stand.config.with_overrides({} if selector is None else {"replica.selector.class": selector})
    topic_id = led(stand)
    stand.register(NODE_ID, epoch=EPOCH, rack="a")
    stand.register(FOLLOWER, epoch=EPOCH, rack="b")
    append(stand)
    return Client(stand, topic_id)


async def test_a_consumer_is_sent_to_the_replica_in_its_rack(stand: Stand) -> None:
    consumer = racks(stand)
    await consumer.fetch(rack_id="b", max_wait_ms=0)
    assert consumer.row.preferred_read_replica == -1, "it is not known to have that offset"
    await Replica(stand, consumer.topic_id).poll(1, max_wait_ms=0)
    await consumer.fetch(rack_id="b")
    row = consumer.row
    assert (row.preferred_read_replica, row.records, row.high_watermark, row.error_code) == (FOLLOWER, b"", 1, 0)
    assert consumer.at < 1, "at once"
    for rack in ("a", "c", ""):
        await consumer.fetch(rack_id=rack)
        assert (consumer.row.preferred_read_replica, len(consumer.row.records)) == (-1, SIZE)


async def test_without_the_selector_the_leader_serves_all(stand: Stand) -> None:
    consumer = racks(stand, None)
    await Replica(stand, consumer.topic_id).poll(1, max_wait_ms=0)
    await consumer.fetch(rack_id="b")
    assert (consumer.row.preferred_read_replica, len(consumer.row.records)) == (-1, SIZE)


async def test_a_follower_serves_consumers_what_it_knows_to_be_committed(
    stand: Stand, autojump_clock: MockClock
) -> None:
    topic_id = led(stand)
    stand.set_partition("t", IMAGE._replace(leader=FOLLOWER, leader_epoch=1))
    partition = stand.partition("t")
    records = build_batch([(b"k", b"x" * 100, [], 1_700_000_000_000)], leader_epoch=1)
    partition.log.append_as_follower(records, 0)
    consumer = Client(stand, topic_id)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(after, 2, partition.followed, 1, 0)
        await consumer.fetch()
    assert (consumer.at, len(consumer.row.records), consumer.row.high_watermark) == (pytest.approx(2), SIZE, 1)
    old = Client(stand, topic_id, version=10)
    await old.fetch()
    assert old.row.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER, "before v11 only leaders serve"


# Sessions in which most partitions have nothing new


class Session(Replica):
    """A follower at the end of the log in leader epoch 0."""

    async def open(self, offset: int) -> None:
        self.epoch = 0
        wanted = FetchPartition(0, current_leader_epoch=0, fetch_offset=offset, partition_max_bytes=1 << 20)
        await self.again([FetchTopic(topic_id=self.topic_id, partitions=[wanted])])

    async def again(self, topics: list[FetchTopic] | None = None, epoch: int = EPOCH) -> list[Any]:
        """The rows of the answer."""
        request = FetchRequest(
            replica_state=ReplicaState(FOLLOWER, epoch),
            max_bytes=1 << 20,
            session_id=self.response.session_id,
            session_epoch=self.epoch,
            topics=topics or [],
        )
        self.epoch += 1
        await self.ask(request)
        return [row for topic in self.response.responses for row in topic.partitions]


async def test_a_poll_that_says_nothing_new_keeps_the_follower_in_sync(stand: Stand) -> None:
    session = Session(stand, led(stand))
    append(stand)
    await session.open(1)
    await session.again()
    for _ in range(3):
        stand.clock.advance(20)
        assert await session.again() == []
    follower = in_sync(stand).followers[FOLLOWER]
    assert (follower.last_caught_up, follower.last_fetch_leader_end) == (stand.clock.monotonic(), 1)
    stand.partition("t").shrink_isr()
    assert in_sync(stand).state.maximal_isr == (NODE_ID, FOLLOWER)


async def test_whatever_changes_is_told(stand: Stand) -> None:
    session = Session(stand, led(stand))
    append(stand)
    await session.open(1)
    assert [row.high_watermark for row in await session.again()] == [1], "that it had committed"
    assert await session.again() == []
    stand.partition("t").delete_records_before(1)
    assert [row.log_start_offset for row in await session.again()] == [1]
    append(stand)
    assert [len(row.records) for row in await session.again()] == [SIZE]


async def test_one_that_is_registered_anew_is_another(stand: Stand) -> None:
    session = Session(stand, led(stand))
    await session.open(0)
    await session.again()
    stand.register(FOLLOWER, epoch=EPOCH + 1)
    assert [row.error_code for row in await session.again()] == [ErrorCode.NOT_LEADER_OR_FOLLOWER]
    await session.again(epoch=EPOCH + 1)
    assert in_sync(stand).followers[FOLLOWER].broker_epoch == EPOCH + 1


async def test_another_leader_epoch_is_told(stand: Stand) -> None:
    session = Session(stand, led(stand))
    await session.open(0)
    await session.again()
    stand.set_partition("t", IMAGE._replace(leader_epoch=1, partition_epoch=1))
    assert [row.error_code for row in await session.again()] == [ErrorCode.FENCED_LEADER_EPOCH]
    stand.set_partition("t", IMAGE._replace(leader=FOLLOWER, leader_epoch=2, partition_epoch=2))
    assert [row.error_code for row in await session.again()] == [ErrorCode.FENCED_LEADER_EPOCH]


async def test_one_out_of_sync_that_polls_joins(stand: Stand) -> None:
    session = Session(stand, led(stand, (NODE_ID,)))
    stand.register(FOLLOWER, epoch=EPOCH, fenced=True)
    await session.open(0)
    await session.again()
    assert in_sync(stand).state.maximal_isr == (NODE_ID,)
    stand.register(FOLLOWER, epoch=EPOCH)
    await session.again()
    assert in_sync(stand).state.maximal_isr == (NODE_ID, FOLLOWER)
