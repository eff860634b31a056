import pytest

from pykbroker.errors import KafkaError
from pykbroker.log.unified_log import COORDINATOR
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.builder import build_batch
from pykbroker.replica.partition import ACKS_ALL, Partition
from tests.replica.stand import NODE_ID, Stand, partition_image


def batch(records: int = 1) -> bytearray:
    return build_batch([(b"k", b"v", [], 1_700_000_000_000 + i) for i in range(records)])


class Recorder:
    def __init__(self) -> None:
        self.appended: list[int] = []
        self.high_watermarks: list[int] = []
        self.changes = 0

    def on_append(self, partition: Partition, size: int) -> None:
        self.appended.append(size)

    def on_high_watermark(self, partition: Partition) -> None:
        self.high_watermarks.append(partition.log.high_watermark)

    def on_change(self) -> None:
        self.changes += 1


def refusal(stand: Stand, *args: int) -> int:
    with pytest.raises(KafkaError) as caught:
        stand.partition("t").check_leader(*args)
    return caught.value.code


def test_with_an_isr_of_one_what_is_appended_is_committed(stand: Stand) -> None:
    stand.create("t")
    partition = stand.partition("t")
    seen: list[int] = []
    partition.listeners.append(seen.append)
    for _ in range(2):
        partition.append(batch(3), ACKS_ALL, stand.clock.wall_ms())
    assert (partition.log.high_watermark, seen) == (6, [3, 6])


def test_a_follower_in_sync_holds_the_high_watermark(stand: Stand) -> None:
    stand.create("t")
    partition = stand.partition("t")
    partition.append(batch(), ACKS_ALL, stand.clock.wall_ms())
    two = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))
    stand.set_partition("t", two)
    partition.append(batch(), ACKS_ALL, stand.clock.wall_ms())
    assert (partition.log.high_watermark, partition.log.log_end_offset) == (1, 2)
    stand.set_partition("t", two._replace(isr=(NODE_ID,)))
    assert partition.log.high_watermark == 2


def test_min_isr_counts_against_the_replicas_that_there_are(stand: Stand) -> None:
    stand.create("t", min_insync_replicas="3")
    partition = stand.partition("t")
    partition.append(batch(), ACKS_ALL, stand.clock.wall_ms())
    stand.set_partition("t", partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID,)))
    with pytest.raises(KafkaError) as caught:
        partition.append(batch(), ACKS_ALL, stand.clock.wall_ms())
    assert caught.value.code == ErrorCode.NOT_ENOUGH_REPLICAS
    partition.append(batch(), 1, stand.clock.wall_ms())
    assert partition.log.high_watermark == 1, "below min.isr nothing is committed (KIP-966)"


@pytest.mark.parametrize(("epoch", "committed"), [(1, 2), (2, 1)])
def test_followers_begin_anew_when_somebody_else_may_have_led(epoch: int, committed: int, stand: Stand) -> None:
    """In an epoch this broker never heard of they may have been cut back; Kafka commits what they had before."""
    stand.create("t")
    partition = stand.partition("t")
    partition.append(batch(), 1, stand.clock.wall_ms())
    image = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2, 3), isr=(NODE_ID, 2, 3))
    stand.set_partition("t", image)
    partition.append(batch(), 1, stand.clock.wall_ms())
    partition.follower_fetched(2, 2, 0, 2, -1)
    stand.set_partition("t", image._replace(leader_epoch=epoch, partition_epoch=image.partition_epoch + epoch))
    partition.follower_fetched(3, 2, 0, 2, -1)
    assert partition.log.high_watermark == committed
    partition.follower_fetched(2, 2, 0, 2, -1)
    assert partition.log.high_watermark == 2


def test_a_new_epoch_begins_at_the_log_end(stand: Stand) -> None:
    stand.create("t")
    partition = stand.partition("t")
    partition.append(batch(3), 1, stand.clock.wall_ms())
    stand.elect("t", NODE_ID, 4)
    partition.append(batch(2), 1, stand.clock.wall_ms())
    assert partition.log.leader_epochs.entries == [(0, 0), (4, 3)]
    assert partition.epoch_start_offset == 3
    assert partition.last_offset_for_epoch(-1, 0) == (0, 3)
    assert partition.last_offset_for_epoch(4, 3) == (0, 3)
    assert partition.last_offset_for_epoch(4, 4) == (4, 5)
    assert partition.last_offset_for_epoch(4, 5) == (-1, -1)


def test_epochs_are_checked_before_leadership(stand: Stand) -> None:
    stand.create("t")
    stand.elect("t", NODE_ID, 4)
    stand.partition("t").check_leader(4)
    stand.partition("t").check_leader(-1)
    assert refusal(stand, 3) == ErrorCode.FENCED_LEADER_EPOCH
    assert refusal(stand, 5) == ErrorCode.UNKNOWN_LEADER_EPOCH
    stand.elect("t", 2, 5)
    assert refusal(stand, 4) == ErrorCode.FENCED_LEADER_EPOCH
    assert refusal(stand, 5) == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert refusal(stand) == ErrorCode.NOT_LEADER_OR_FOLLOWER
    stand.partition("t").check_leader(5, only_leader=False)


def test_only_the_leader_appends(stand: Stand) -> None:
    stand.create("t", leader=2)
    with pytest.raises(KafkaError) as caught:
        stand.partition("t").append(batch(), 1, stand.clock.wall_ms())
    assert caught.value.code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert stand.partition("t").log.log_end_offset == 0


def test_waiters_hear_of_appends_and_changes(stand: Stand) -> None:
    stand.create("t")
    partition = stand.partition("t")
    waiter = Recorder()
    partition.waiters.add(waiter)
    partition.append(batch(), 1, stand.clock.wall_ms())
    assert waiter.appended == [len(batch())]
    stand.elect("t", NODE_ID, 1)
    stand.elect("t", 2, 2)
    stand.delete("t")
    assert waiter.changes == 3


def test_a_duplicate_wakes_nobody(stand: Stand) -> None:
    stand.create("t")
    partition = stand.partition("t")
    waiter = Recorder()
    records = [(b"k", b"v", [], 1_700_000_000_000)]
    for expected in (False, True):
        once = build_batch(records, producer_id=1, producer_epoch=0, base_sequence=0)
        assert partition.append(once, 1, stand.clock.wall_ms()).duplicate is expected
        partition.waiters.add(waiter)
    assert waiter.appended == []


def test_a_coordinators_batches_keep_their_offsets_in_order(stand: Stand) -> None:
    stand.create("t")
    partition = stand.partition("t")
    assert partition.append(batch(2), ACKS_ALL, stand.clock.wall_ms(), COORDINATOR).last_offset == 1
    assert partition.append(batch(2), ACKS_ALL, stand.clock.wall_ms(), COORDINATOR).first_offset == 2
    assert partition.log.high_watermark == 4


TWO = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))


def test_consumers_wait_for_the_high_watermark_and_followers_for_the_end(stand: Stand) -> None:
    stand.register(NODE_ID, 2, epoch=50)
    stand.create("t")
    stand.set_partition("t", TWO)
    partition = stand.partition("t")
    consumer, follower = Recorder(), Recorder()
    partition.waiters.add(consumer)
    partition.end_waiters.add(follower)
    partition.append(batch(), 1, stand.clock.wall_ms())
    assert (len(follower.appended), consumer.appended, consumer.high_watermarks) == (1, [], [])
    partition.follower_fetched(2, 1, 0, 1, 50)
    assert (consumer.high_watermarks, follower.high_watermarks) == ([1], [])
    stand.set_partition("t", TWO._replace(leader=2, leader_epoch=1))
    assert (consumer.changes, follower.changes) == (1, 1)


def test_a_follower_takes_over_its_leaders_offsets(stand: Stand) -> None:
    stand.create("t")
    stand.set_partition("t", TWO._replace(leader=2, leader_epoch=1))
    partition = stand.partition("t")
    consumer, seen = Recorder(), []
    partition.waiters.add(consumer)
    partition.listeners.append(seen.append)
    partition.log.append_as_follower(build_batch([(b"k", b"v", [], 1_700_000_000_000)] * 3, leader_epoch=1), 0)
    partition.followed(9, 0)
    assert (partition.log.high_watermark, consumer.high_watermarks, seen) == (3, [3], [3])
    partition.followed(3, 2)
    assert (partition.log.log_start_offset, consumer.high_watermarks) == (2, [3])


def test_of_the_same_leader_epoch_only_the_first_image_begins_to_follow(stand: Stand) -> None:
    stand.create("t")
    partition = stand.partition("t")
    elsewhere = TWO._replace(leader=2, leader_epoch=1, partition_epoch=1)
    assert partition.apply(elsewhere)
    assert not partition.apply(elsewhere._replace(isr=(2,), partition_epoch=2))
    assert not partition.apply(elsewhere), "older than what is known"
    assert partition.image.isr == (2,)
    assert partition.apply(elsewhere._replace(leader_epoch=2, partition_epoch=3))


def test_a_second_replica_joins_a_partition_that_was_alone(stand: Stand) -> None:
    """A reassignment adds it, in the same leader epoch; what was committed stays so."""
    stand.register(NODE_ID, 2, epoch=50)
    stand.create("t")
    partition = stand.partition("t")
    partition.append(batch(3), ACKS_ALL, stand.clock.wall_ms())
    stand.set_partition("t", TWO._replace(isr=(NODE_ID,), adding_replicas=(2,), partition_epoch=1))
    assert partition.log.high_watermark == 3
    partition.append(batch(), ACKS_ALL, stand.clock.wall_ms())
    assert partition.log.high_watermark == 4
    partition.follower_fetched(2, 4, 0, 4, 50)
    assert partition.in_sync is not None
    assert partition.in_sync.state.maximal_isr == (NODE_ID, 2)
