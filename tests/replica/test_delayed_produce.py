from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.builder import build_batch
from pykbroker.replica.delayed_produce import DelayedProduce
from pykbroker.replica.partition import Partition
from tests.replica.stand import NODE_ID, Stand, partition_image

TWO = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))


def replicated(stand: Stand, topic: str = "t", **configs: str) -> Partition:
    """A partition with a follower in sync and one record that it has not confirmed."""
    stand.create(topic, **configs)
    partition = stand.partition(topic)
    stand.set_partition(topic, TWO)
    partition.append(build_batch([(b"k", b"v", [], 1_700_000_000_000)]), -1, stand.clock.wall_ms())
    return partition


def wait(wakes: list[int], *partitions: Partition) -> DelayedProduce:
    delayed = DelayedProduce(dict.fromkeys(partitions, 1), lambda: wakes.append(1))
    delayed.arm()
    return delayed


def test_wakes_when_all_high_watermarks_have_passed(stand: Stand) -> None:
    first, second = replicated(stand, "t"), replicated(stand, "u")
    wakes: list[int] = []
    delayed = wait(wakes, first, second)
    stand.set_partition("t", TWO._replace(isr=(NODE_ID,)))
    assert (wakes, delayed.errors[first], delayed.errors[second]) == ([], 0, ErrorCode.REQUEST_TIMED_OUT)
    stand.set_partition("u", TWO._replace(isr=(NODE_ID,)))
    assert (wakes, delayed.errors) == ([1], {first: 0, second: 0})
    assert not first.waiters | second.waiters


def test_another_leader_is_an_error(stand: Stand) -> None:
    partition = replicated(stand)
    wakes: list[int] = []
    delayed = wait(wakes, partition)
    stand.set_partition("t", TWO._replace(leader=2, leader_epoch=1))
    assert (wakes, delayed.errors) == ([1], {partition: ErrorCode.NOT_LEADER_OR_FOLLOWER})


def test_too_few_in_sync_after_the_append(stand: Stand) -> None:
    partition = replicated(stand, min_insync_replicas="2")
    partition.log.update_high_watermark(1)
    wakes: list[int] = []
    delayed = wait(wakes, partition)
    stand.set_partition("t", TWO._replace(isr=(NODE_ID,)))
    assert (wakes, delayed.errors) == ([1], {partition: ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND})


def test_what_did_not_happen_in_time_has_timed_out(stand: Stand) -> None:
    partition = replicated(stand)
    delayed = wait([], partition)
    delayed.disarm()
    assert delayed.errors == {partition: ErrorCode.REQUEST_TIMED_OUT}
    assert not partition.waiters
