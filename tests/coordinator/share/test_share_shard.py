"""Which records the share coordinator writes, and when; when it forgets; how it comes back."""

import pytest

from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.message import Struct
from tests.coordinator.share.plays import GROUP, KEY, OTHER, STATE, TOPIC, SharePlay, found_batches

NEIGHBOUR = SharePartitionKey(GROUP, TOPIC, 1)
ELSEWHERE = SharePartitionKey(GROUP, OTHER, 0)


def plain(record: CoordinatorRecord) -> tuple[object, ...]:
    """("Snapshot" | "Update", partition, values … but for timestamps, batches); a tombstone has no values."""
    kind = type(record.key).__name__.removeprefix("Share").removesuffix("Key")
    value = record.value
    if value is None:
        return kind, record.key.partition  # type: ignore[attr-defined]
    numbers = [
        getattr(value, name) for name in value.__slots__ if name != "state_batches" and not name.endswith("timestamp")
    ]
    return kind, record.key.partition, *numbers, [slots(batch) for batch in value.state_batches]  # type: ignore[attr-defined]


def slots(batch: Struct) -> tuple[int, ...]:
    return tuple(getattr(batch, name) for name in batch.__slots__)


def written(play: SharePlay) -> list[tuple[object, ...]]:
    return [plain(record) for _, record in play.records()]


def test_the_records_of_a_life() -> None:
    """snapshot: epoch, state epoch, leader epoch, start, complete. update: epoch, leader epoch, start, complete."""
    play = SharePlay()
    play.initialize(state_epoch=3, start_offset=5)
    play.read(leader_epoch=2)
    play.read(leader_epoch=2)
    play.write((5, 9, 2, 1), state_epoch=3, leader_epoch=2, complete=5)
    play.write((5, 12, 0, 1), state_epoch=3, leader_epoch=4, start_offset=10, complete=0)
    play.initialize(state_epoch=4, start_offset=-1)
    play.delete()
    play.delete()
    play.initialize()
    assert written(play) == [
        ("Snapshot", 0, 0, 3, 0, 5, 0, []),
        ("Update", 0, 0, 2, 5, 0, []),
        ("Update", 0, 0, 2, -1, 5, [(5, 9, 2, 1)]),
        ("Update", 0, 0, 2, 10, 0, [(10, 12, 0, 1)]),
        ("Snapshot", 0, 1, 4, 0, -1, -1, []),
        ("Snapshot", 0),
        ("Snapshot", 0, 0, 0, 0, 0, 0, []),
    ]


@pytest.mark.parametrize("updates", [0, 1, 3])
def test_a_snapshot_after_so_many_updates(updates: int) -> None:
    play = SharePlay(share_coordinator_snapshot_update_records_per_snapshot=updates)
    play.initialize(start_offset=0)
    for offset in range(12):
        play.clock.advance(1)
        play.write((offset, offset, 2, 1), start_offset=offset - 1, complete=offset)
    kinds = [row[0] for row in written(play)]
    assert kinds == (["Snapshot"] + ["Update"] * updates) * (12 // (updates + 1)) + ["Snapshot"] + ["Update"] * (
        12 % (updates + 1)
    )
    play.reload()
    assert found_batches(play.read()) == [(10, 11, 2, 1)]
    assert play.state.offset.snapshot_epoch == 12 // (updates + 1)


def test_initialize_does_not_begin_the_count_anew() -> None:
    """As in Kafka: only a snapshot that was due does."""
    play = SharePlay(share_coordinator_snapshot_update_records_per_snapshot=2)
    play.initialize()
    play.write()
    play.initialize()
    play.write()
    play.write((0, 1, 2, 1))
    play.write()
    assert [row[0] for row in written(play)] == ["Snapshot", "Update", "Snapshot", "Update", "Snapshot", "Update"]


def test_epochs_are_fenced_after_a_reload() -> None:
    play = SharePlay()
    play.initialize(state_epoch=7)
    play.read(leader_epoch=5)
    play.initialize(state_epoch=-1)
    play.reload()
    assert play.read(leader_epoch=4).error_code == E.FENCED_LEADER_EPOCH
    assert play.write(leader_epoch=5, state_epoch=6).error_code == E.FENCED_STATE_EPOCH
    assert play.write(leader_epoch=5, state_epoch=7).error_code == 0


def test_deleted_topics_take_their_states_along() -> None:
    play = SharePlay()
    for key in (KEY, ELSEWHERE, NEIGHBOUR):
        play.initialize(key)
    del play.image.partitions[TOPIC]
    play.service.on_topics_deleted([("theirs", TOPIC)])
    assert [key for key, _ in play.shard.table.items()] == [ELSEWHERE]
    assert play.write().error_code == E.INVALID_REQUEST
    assert play.write(key=ELSEWHERE).error_code == 0


def test_states_of_a_topic_that_is_gone_are_not_touched() -> None:
    play = SharePlay()
    play.initialize()
    play.image.partitions[TOPIC] = 0
    for row in (play.initialize(), play.read(), play.write(), play.delete(), play.summary()):
        assert row.error_code == E.UNKNOWN_TOPIC_OR_PARTITION
    assert len(play.records()) == 1


def test_cold_partitions_get_snapshots() -> None:
    play = SharePlay(share_coordinator_cold_partition_snapshot_interval_ms=1000)
    play.initialize(start_offset=1)
    play.write((1, 2, 0, 1), complete=0)
    play.clock.advance(0.5)
    play.initialize(NEIGHBOUR)
    born = play.state.offset.create_timestamp
    play.clock.advance(0.5)
    play.service.snapshot_cold_partitions()
    assert written(play)[3:] == [("Snapshot", 0, 1, 0, 0, 1, 0, [(1, 2, 0, 1)])]
    assert play.state.offset[5:7] == (born, born + 1000)
    # Again and again, as long as one of them has had no such snapshot.
    play.clock.advance(1)
    play.service.snapshot_cold_partitions()
    assert sorted(written(play)[4:]) == [
        ("Snapshot", 0, 2, 0, 0, 1, 0, [(1, 2, 0, 1)]),
        ("Snapshot", 1, 1, 0, 0, 0, 0, []),
    ]
    play.clock.advance(5)
    play.service.snapshot_cold_partitions()
    assert len(written(play)) == 6


def test_more_snapshots_than_a_batch_holds() -> None:
    play = SharePlay(share_coordinator_cold_partition_snapshot_interval_ms=1)
    play.image.partitions[TOPIC] = 50
    for partition in range(50):
        play.initialize(SharePartitionKey(GROUP, TOPIC, partition))
    play.log.max_message_bytes = 1024
    play.clock.advance(1)
    play.service.snapshot_cold_partitions()
    assert len(play.records()) == 100
    play.service.on_topics_deleted([("theirs", TOPIC)])
    assert len(play.shard.table) == 0


def test_pruning_keeps_the_latest_snapshot_of_all() -> None:
    play = SharePlay()

    def pruned() -> int:
        play.ask(play.service.prune())
        return play.log.start.get(STATE, 0)

    assert pruned() == 0
    play.initialize()  # 0
    play.initialize(NEIGHBOUR)  # 1
    play.write((0, 1, 2, 1))  # 2
    assert pruned() == 0
    play.initialize(start_offset=4)  # 3
    assert pruned() == 1
    play.delete(NEIGHBOUR)  # 4
    assert pruned() == 3
    play.reload()
    assert play.read().start_offset == 4
    play.delete()  # 5
    assert pruned() == 5
    play.initialize(start_offset=6)  # 6
    assert pruned() == 6
    play.reload()
    assert play.read().start_offset == 6


def test_a_log_that_begins_with_an_update() -> None:
    """Pruned behind the snapshot it belongs to: a later one follows, or the state was deleted."""
    play = SharePlay()
    play.initialize(NEIGHBOUR, start_offset=1)
    play.write((0, 0, 2, 1), key=NEIGHBOUR)
    play.initialize(start_offset=2)
    play.write((2, 3, 2, 1), complete=2)
    play.initialize(NEIGHBOUR, start_offset=4)
    del play.log.batches[STATE][0]
    play.log.start[STATE] = 1
    play.reload()
    assert play.read(NEIGHBOUR).start_offset == 4
    assert found_batches(play.read()) == [(2, 3, 2, 1)]
