"""States of share partitions on a data directory that pykbroker and the real Kafka take over from each other."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from compat_tests.disk.dumps import check_dir_complaints, complaints
from compat_tests.disk.handover import SETTINGS, asking, data_of, kafka_on, ours_on
from pykbroker.coordinator.log_records import decode_batches
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.ids import ZERO_UUID
from pykbroker.metadata.topic_names import SHARE_GROUP_STATE_TOPIC
from pykbroker.protocol.coordinator_records import frame_key, frame_value
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.hashes import partition_for_id
from pykbroker.protocol.persisted.share.share_snapshot import ShareSnapshotKey, ShareSnapshotValue
from pykbroker.protocol.persisted.share.share_update import ShareUpdateKey
from tests.handlers.broker.asker import Topic
from tests.handlers.broker.test_list_offsets import EARLIEST, LATEST, list_offsets
from tests.handlers.cluster_asker import eventually
from tests.handlers.share_state_dialogue import ShareState, state, summed, told

pytestmark = pytest.mark.own_broker

FEW: Mapping[str, str] = {
    **SETTINGS,
    "share.coordinator.state.topic.num.partitions": "10",
    "share.coordinator.snapshot.update.records.per.snapshot": "7",
}
# Often enough to be seen in a test.
UPKEEP = {
    "share.coordinator.state.topic.prune.interval.ms": "500",
    "share.coordinator.cold.partition.snapshot.interval.ms": "700",
}


def live(share: ShareState) -> None:
    """Everything that makes a record, on two share partitions."""
    assert told(share.initialize(0, state_epoch=3, start_offset=10)) == (0, None)
    assert state(share.read(leader_epoch=2)) == (3, 10, [])
    for step in range(20):
        first = 10 + 5 * step
        batches = (first, first + 9, 0, 1), (first + 2, first + 4, 2, 2), (first + 4, first + 4, 4, 1)
        start = first - 5 if step % 3 == 0 else -1
        assert share.write(*batches, state_epoch=3, leader_epoch=2, start_offset=start, complete=step).error_code == 0
    assert share.initialize(1, state_epoch=1, start_offset=-1).error_code == 0
    assert share.write((0, 3, 2, 1), partition=1, state_epoch=1, complete=4, version=0).error_code == 0
    assert share.delete(1).error_code == 0
    assert share.initialize(1, state_epoch=2, start_offset=5).error_code == 0


def records(data: Path, group: str) -> list[tuple[int, bytes, bytes | None]]:
    """(partition, type of the record, value): their bytes, but for the timestamps of snapshots."""
    rows = []
    for path in sorted(data.glob("__share_group_state-*/*.log")):
        for entry in decode_batches("share", path.read_bytes()):
            record = entry.content
            if isinstance(record, CoordinatorRecord) and key_of(record).group_id == group:
                rows.append(plain(record))
    return sorted(rows, key=lambda row: row[0])


def key_of(record: CoordinatorRecord) -> ShareSnapshotKey | ShareUpdateKey:
    assert isinstance(record.key, ShareSnapshotKey | ShareUpdateKey)
    return record.key


def plain(record: CoordinatorRecord) -> tuple[int, bytes, bytes | None]:
    key, value = key_of(record), record.value
    if isinstance(value, ShareSnapshotValue):
        value.create_timestamp = value.write_timestamp = 0
    content = None if value is None else bytes(frame_value(value, record.version))
    return key.partition, bytes(frame_key(key)[:2]), content


@pytest.mark.timeout(120)
def test_each_continues_what_the_other_began(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    with ours_on(tmp_path, FEW) as broker, asking(broker.bootstrap) as asker:
        ours = ShareState(asker)
        live(ours)
        left = state(ours.read()), summed(ours.summary()), state(ours.read(1))
    written = records(data, ours.group)
    assert {row[1] for row in written} == {b"\0\0", b"\0\1"}
    assert not list(complaints(data, ["--share-group-state-decoder"], ["__share_group_state-*/*.log"]))
    with kafka_on(tmp_path, FEW) as kafka, asking(kafka.bootstrap) as asker:
        theirs = ShareState(asker, ours.topic)
        live(theirs)
        taken = ShareState(asker, ours.topic, ours.group)
        assert (state(taken.read()), summed(taken.summary()), state(taken.read(1))) == left
        assert taken.read(leader_epoch=1).error_code == ErrorCode.FENCED_LEADER_EPOCH
        assert taken.write(leader_epoch=2, state_epoch=2).error_code == ErrorCode.FENCED_STATE_EPOCH
        assert state(taken.read(leader_epoch=5)) == left[0]
        assert (
            taken.write((200, 201, 2, 1), state_epoch=3, leader_epoch=5, start_offset=100, complete=2).error_code == 0
        )
        left = state(taken.read()), summed(taken.summary()), state(taken.read(1))
    # Of the same calls the same bytes.
    assert records(data, theirs.group) == written
    with ours_on(tmp_path, FEW) as broker, asking(broker.bootstrap) as asker:
        again = ShareState(asker, ours.topic, ours.group)
        assert (state(again.read()), summed(again.summary()), state(again.read(1))) == left
        assert again.read(leader_epoch=4).error_code == ErrorCode.FENCED_LEADER_EPOCH
        other = ShareState(asker, ours.topic, theirs.group)
        assert other.read(leader_epoch=1).error_code == ErrorCode.FENCED_LEADER_EPOCH
        asker.delete(ours.topic)
    assert all(content is None for _, content in latest(data))
    assert not check_dir_complaints(data)


def latest(data: Path) -> list[tuple[object, object]]:
    """The last value of each share partition."""
    found: dict[object, object] = {}
    for path in sorted(data.glob("__share_group_state-*/*.log")):
        for entry in decode_batches("share", path.read_bytes()):
            if isinstance(entry.content, CoordinatorRecord):
                key = key_of(entry.content)
                found[key.group_id, key.topic_id, key.partition] = entry.content.value
    return list(found.items())


def await_pruned(share: ShareState) -> None:
    """A snapshot of each share partition of the log is left."""
    topic = Topic(SHARE_GROUP_STATE_TOPIC, ZERO_UUID)
    for partition in (0, 1):
        key = SharePartitionKey(share.group, share.topic.id, partition)
        index = partition_for_id(str(key), 10)

        def length(index: int = index) -> int:
            (first,), (end,) = (list_offsets(share.asker, topic, [(index, at)], 8) for at in (EARLIEST, LATEST))
            return int(end[3] - first[3])

        eventually(length, lambda count: count <= 2)


@pytest.mark.timeout(120)
def test_a_pruned_log_is_enough(tmp_path: Path) -> None:
    """Snapshots of what rests, and the log in front of them cut off: by us and then by Kafka."""
    with ours_on(tmp_path, {**FEW, **UPKEEP}) as broker, asking(broker.bootstrap) as asker:
        share = ShareState(asker)
        live(share)
        left = state(share.read()), state(share.read(1))
        await_pruned(share)
        assert (state(share.read()), state(share.read(1))) == left
    with kafka_on(tmp_path, {**FEW, **UPKEEP}) as kafka, asking(kafka.bootstrap) as asker:
        taken = ShareState(asker, share.topic, share.group)
        assert (state(taken.read()), state(taken.read(1))) == left
        assert taken.delete(1).error_code == 0
        live(taken)
        left = state(taken.read()), state(taken.read(1))
        await_pruned(taken)
    with ours_on(tmp_path, FEW) as broker, asking(broker.bootstrap) as asker:
        again = ShareState(asker, share.topic, share.group)
        assert (state(again.read()), state(again.read(1))) == left
