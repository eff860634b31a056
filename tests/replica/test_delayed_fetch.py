from typing import Any

from pykbroker.record.builder import build_batch
from pykbroker.record.control import end_transaction_batch
from pykbroker.replica.delayed_fetch import Awaited, DelayedFetch
from pykbroker.replica.partition import Partition
from tests.replica.stand import NODE_ID, Stand

SIZE = 79


def append(stand: Stand, topic: str = "t", **fields: Any) -> None:
    records = build_batch([(b"k", b"0123456789", [], 1_700_000_000_000)], **fields)
    stand.partition(topic).append(records, 1, stand.clock.wall_ms())


class Wakes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def wait(missing: int, *partitions: Partition, room: int = 1 << 20, committed: bool = False) -> Wakes:
    wakes = Wakes()
    awaited = [Awaited(partition, partition.log.log_end_offset, room) for partition in partitions]
    DelayedFetch(awaited, missing, committed, wakes).arm()
    return wakes


def test_wakes_once_when_enough_was_appended(stand: Stand) -> None:
    stand.create("t")
    wakes = wait(2 * SIZE, stand.partition("t"))
    append(stand)
    assert wakes.count == 0
    for _ in range(3):
        append(stand)
    assert wakes.count == 1
    assert not stand.partition("t").waiters


def test_counts_over_all_its_partitions(stand: Stand) -> None:
    stand.create("t")
    stand.create("u")
    wakes = wait(2 * SIZE, stand.partition("t"), stand.partition("u"))
    append(stand, "t")
    assert wakes.count == 0
    append(stand, "u")
    assert wakes.count == 1
    assert not stand.partition("t").waiters | stand.partition("u").waiters


def test_a_partition_gives_no_more_than_it_may(stand: Stand) -> None:
    stand.create("t")
    wakes = wait(2 * SIZE, stand.partition("t"), room=SIZE)
    for _ in range(5):
        append(stand)
    assert wakes.count == 0


def test_a_new_leader_wakes(stand: Stand) -> None:
    stand.create("t")
    wakes = wait(1, stand.partition("t"))
    stand.elect("t", NODE_ID, 1)
    assert wakes.count == 1


def test_a_rolled_segment_wakes(stand: Stand) -> None:
    """Kafka's case F: there will be no more bytes than now, because a fetch ends with its segment."""
    stand.create("t")
    append(stand)
    wakes = wait(1 << 20, stand.partition("t"))
    append(stand)
    stand.partition("t").log.roll(stand.clock.wall_ms())
    assert wakes.count == 0
    append(stand)
    assert wakes.count == 1


def test_disarmed_hears_nothing(stand: Stand) -> None:
    stand.create("t")
    partition = stand.partition("t")
    wakes = Wakes()
    delayed = DelayedFetch([Awaited(partition, 0, 100)], 1, False, wakes)
    delayed.arm()
    delayed.disarm()
    append(stand)
    assert wakes.count == 0


def test_read_committed_counts_as_others_while_nothing_is_open(stand: Stand) -> None:
    stand.create("t")
    wakes = wait(2 * SIZE, stand.partition("t"), committed=True)
    append(stand)
    assert wakes.count == 0
    append(stand)
    assert wakes.count == 1


def test_read_committed_wakes_when_a_transaction_ends(stand: Stand) -> None:
    stand.create("t")
    wakes = wait(1 << 20, stand.partition("t"), committed=True)
    plain = wait(1, stand.partition("t"))
    append(stand, producer_id=5, producer_epoch=0, base_sequence=0, is_transactional=True)
    append(stand)
    assert (wakes.count, plain.count) == (0, 1)
    marker = end_transaction_batch(
        commit=True, producer_id=5, producer_epoch=0, coordinator_epoch=0, timestamp=1_700_000_000_000
    )
    stand.partition("t").append(marker, -1, stand.clock.wall_ms(), "coordinator")
    assert wakes.count == 1
