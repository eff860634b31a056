from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.builder import build_batch
from pykbroker.replica.delayed_delete_records import DelayedDeleteRecords
from pykbroker.replica.partition import Partition
from tests.replica.stand import NODE_ID, Stand, partition_image

IMAGE = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID,))


def deleted(stand: Stand) -> Partition:
    """The leader has dropped 3 of 5 records, broker 2 none."""
    stand.register(NODE_ID, 2, epoch=50)
    stand.create("t")
    stand.set_partition("t", IMAGE)
    partition = stand.partition("t")
    partition.append(build_batch([(b"k", b"v", [], 1_700_000_000_000)] * 5), 1, stand.clock.wall_ms())
    partition.follower_fetched(2, 5, 0, 5, 50)
    assert partition.delete_records_before(3) == 3
    return partition


def wait(partition: Partition, wakes: list[bool]) -> DelayedDeleteRecords:
    waiting = DelayedDeleteRecords({partition: 3}, lambda: wakes.append(True))
    waiting.arm()
    return waiting


def test_done_when_the_last_replica_has_dropped_them(stand: Stand) -> None:
    partition = deleted(stand)
    wakes: list[bool] = []
    waiting = wait(partition, wakes)
    partition.follower_fetched(2, 5, 2, 5, 50)
    partition.append(build_batch([(b"k", b"v", [], 1_700_000_000_000)]), 1, stand.clock.wall_ms())
    assert not wakes
    partition.follower_fetched(2, 6, 3, 6, 50)
    assert (wakes, waiting.results) == ([True], {partition: (0, 3)})
    assert not partition.low_watermark_waiters


def test_a_replica_that_is_fenced_is_not_waited_for(stand: Stand) -> None:
    partition = deleted(stand)
    assert partition.low_watermark() == 0
    stand.register(2, epoch=50, fenced=True)
    assert partition.low_watermark() == 3


def test_another_leader(stand: Stand) -> None:
    partition = deleted(stand)
    wakes: list[bool] = []
    waiting = wait(partition, wakes)
    stand.set_partition("t", IMAGE._replace(leader=2, leader_epoch=1))
    assert (wakes, waiting.results) == ([True], {partition: (ErrorCode.NOT_LEADER_OR_FOLLOWER, -1)})


def test_what_was_not_done_in_time(stand: Stand) -> None:
    partition = deleted(stand)
    waiting = wait(partition, [])
    waiting.disarm()
    assert waiting.results == {partition: (ErrorCode.REQUEST_TIMED_OUT, 0)}
    assert not partition.low_watermark_waiters
