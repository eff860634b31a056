"""ISRs as the leader keeps them; whole stories are in test_cluster."""

from pykbroker.clock import ManualClock
from pykbroker.ids import Uuid
from pykbroker.metadata.image import BrokerRegistration
from pykbroker.metadata.topics import PartitionImage
from pykbroker.replica.isr import (
    CommittedPartitionState,
    InSyncReplicas,
    Peers,
    PendingExpandIsr,
    PendingPartitionChange,
    PendingShrinkIsr,
)
from tests.replica.stand import partition_image

IMAGE = partition_image(1, 0)._replace(replicas=(1, 2, 3), isr=(1, 2))


def broker(broker_id: int, **fields: object) -> BrokerRegistration:
    return BrokerRegistration(broker_id, 100 + broker_id, Uuid.random(), (), {}, None, False, False)._replace(**fields)


class Leader:
    def __init__(self, image: PartitionImage = IMAGE, end: int = 0) -> None:
        self.clock = ManualClock()
        self.peers = Peers(1, self.clock)
        self.peers.brokers = {id_: broker(id_) for id_ in (1, 2, 3)}
        self.proposed: list[PendingPartitionChange] = []
        self.replicas = InSyncReplicas(self.peers, self.proposed.append)
        self.replicas.take_over(image, end, is_new_leader=True)

    def fetched(self, id_: int, offset: int, end: int, epoch: int | None = None) -> None:
        epoch = 100 + id_ if epoch is None else epoch
        self.replicas.fetched(self.replicas.followers[id_], offset, 0, end, epoch)

    def expand(self, id_: int, high_watermark: int = 0, epoch_start: int = 0) -> None:
        self.replicas.expand(self.replicas.followers[id_], high_watermark, epoch_start)


def test_nothing_is_committed_before_all_in_sync_have_fetched() -> None:
    leader = Leader()
    assert leader.replicas.committed_end(10) == -1
    leader.fetched(2, 7, 10)
    assert leader.replicas.committed_end(10) == 7, "3 is out of sync, and has been for ever"
    leader.fetched(3, 5, 5)
    assert leader.replicas.committed_end(10) == 5, "it caught up just now, and is about to join"
    leader.clock.advance(31)
    assert leader.replicas.committed_end(10) == 7


def test_who_may_not_join_is_not_waited_for() -> None:
    for fields in ({"fenced": True}, {"in_controlled_shutdown": True}, {"epoch": 999}):
        leader = Leader()
        leader.fetched(2, 7, 10)
        leader.fetched(3, 5, 5)
        leader.peers.brokers = {**leader.peers.brokers, 3: broker(3, **fields)}
        assert leader.replicas.committed_end(10) == 7, fields


def test_one_joins_at_the_high_watermark_and_within_the_epoch() -> None:
    leader = Leader()
    leader.fetched(3, 5, 10)
    leader.expand(3, high_watermark=6)
    leader.expand(3, high_watermark=4, epoch_start=6)
    assert not leader.proposed, "what the leader before had committed may lie up to where the epoch began"
    leader.expand(3, high_watermark=5, epoch_start=5)
    change = leader.proposed[0]
    assert isinstance(change, PendingExpandIsr)
    assert change.sent.isr == ((1, 101), (2, -1), (3, 103)), "2 has not fetched: its epoch is not checked"
    assert (leader.replicas.state.isr, leader.replicas.state.maximal_isr) == ((1, 2), (1, 2, 3))
    leader.expand(3)
    assert len(leader.proposed) == 1, "one change at a time"


def test_one_that_never_fetched_in_this_epoch_cannot_join() -> None:
    leader = Leader()
    leader.expand(3, high_watermark=-1, epoch_start=-1)
    assert not leader.proposed


def test_laggards_leave_together() -> None:
    leader = Leader(IMAGE._replace(isr=(1, 2, 3)))
    leader.fetched(2, 10, 10)
    leader.clock.advance(20)
    leader.fetched(3, 10, 10)
    assert leader.replicas.shrink(12) == frozenset()
    leader.clock.advance(11)
    assert leader.replicas.shrink(10) == frozenset(), "it lacks nothing"
    assert leader.replicas.shrink(12) == {2}
    leader.clock.advance(31)
    assert leader.replicas.shrink(12) == frozenset(), "one change at a time"
    change = leader.proposed[0]
    assert isinstance(change, PendingShrinkIsr)
    assert (change.maximal_isr, change.sent.isr) == ((1, 2, 3), ((1, 101), (3, 103)))
    assert leader.replicas.ends_of([2, 9]) == {2: 10}


def test_what_the_controller_agreed_to_counts() -> None:
    leader = Leader()
    leader.fetched(3, 5, 5)
    leader.expand(3)
    change = leader.proposed[0]
    assert not leader.replicas.agreed(change, 9, 1, (1, 2, 3)), "of another leader epoch"
    assert leader.replicas.agreed(change, 0, 1, (1, 2, 3))
    assert (leader.replicas.state, leader.replicas.partition_epoch) == (CommittedPartitionState((1, 2, 3)), 1)
    assert not leader.replicas.agreed(change, 0, 2, (1,)), "an answer to what is over"
    leader.replicas.rejected(change)
    assert leader.replicas.state.isr == (1, 2, 3)


def test_an_image_ends_what_is_on_its_way() -> None:
    leader = Leader()
    leader.fetched(3, 5, 5)
    leader.expand(3)
    leader.replicas.take_over(IMAGE._replace(partition_epoch=4), 10, is_new_leader=False)
    assert leader.replicas.state == CommittedPartitionState((1, 2))
    assert leader.replicas.followers[3].log_end_offset == 5, "the epoch is the same, so is what they have"
    assert not leader.replicas.agreed(leader.proposed[0], 0, 1, (1, 2, 3))


def test_replicas_come_and_go_with_the_assignment() -> None:
    leader = Leader()
    leader.fetched(2, 5, 5)
    leader.replicas.take_over(IMAGE._replace(replicas=(1, 2, 4)), 5, is_new_leader=False)
    assert sorted(leader.replicas.followers) == [2, 4]
    assert (leader.replicas.followers[2].log_end_offset, leader.replicas.followers[4].log_end_offset) == (5, -1)


def test_min_isr_is_no_more_than_there_are_replicas() -> None:
    leader = Leader()
    assert [leader.replicas.is_under_min(wanted) for wanted in (1, 2, 3, 9)] == [False, False, True, True]
    leader.fetched(3, 5, 5)
    leader.expand(3)
    assert leader.replicas.is_under_min(3)
    assert not leader.replicas.is_maximal_under_min(9)


def test_the_low_watermark_is_of_those_alive() -> None:
    leader = Leader()
    leader.replicas.followers[2].log_start_offset = 3
    leader.replicas.followers[3].log_start_offset = 1
    assert leader.replicas.low_watermark(5) == 1
    leader.peers.brokers = {**leader.peers.brokers, 3: broker(3, fenced=True)}
    assert leader.replicas.low_watermark(5) == 3
    assert leader.replicas.low_watermark(2) == 2


def test_an_unregistered_broker_has_no_epoch() -> None:
    peers = Peers(1, ManualClock())
    assert (peers.broker_epoch, peers.alive_epoch(1)) == (-1, None)
