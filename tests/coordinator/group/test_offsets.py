"""What replaying makes of offset commits: plain, transactional, markers, tombstones (OffsetMetadataManagerTest)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pykbroker.coordinator.group.offset_and_metadata import OffsetAndMetadata
from pykbroker.coordinator.group.offsets import GroupOffsetTable
from pykbroker.coordinator.timeline import Timeline
from pykbroker.ids import ZERO_UUID, TopicPartition, Uuid

T0 = TopicPartition("t", 0)
T1 = TopicPartition("t", 1)


def at(record_offset: int, offset: int | None = None, topic_id: Uuid = ZERO_UUID) -> OffsetAndMetadata:
    value = record_offset if offset is None else offset
    return OffsetAndMetadata(value, topic_id=topic_id, record_offset=record_offset)


@pytest.fixture
def table() -> GroupOffsetTable:
    return GroupOffsetTable(Timeline())


def offset_of(table: GroupOffsetTable, tp: TopicPartition = T0, group: str = "g") -> int | None:
    offset = table.offsets.get(group, tp)
    return None if offset is None else offset.offset


def test_the_last_commit_counts(table: GroupOffsetTable) -> None:
    table.commit("g", T0, at(1), -1)
    table.commit("g", T0, at(2), -1)
    assert offset_of(table) == 2


def test_a_transaction_counts_when_it_is_committed(table: GroupOffsetTable) -> None:
    table.commit("g", T0, at(1), 7)
    assert offset_of(table) is None
    assert table.is_pending("g", T0)
    assert table.has_open_transactions("g")
    table.end_transaction(7, committed=True)
    assert offset_of(table) == 1
    assert not table.is_pending("g", T0)
    assert not table.has_open_transactions("g")


def test_an_aborted_transaction_leaves_nothing(table: GroupOffsetTable) -> None:
    table.commit("g", T0, at(1), -1)
    table.commit("g", T0, at(2), 7)
    table.end_transaction(7, committed=False)
    assert offset_of(table) == 1
    table.end_transaction(7, committed=True)
    assert offset_of(table) == 1


def test_a_later_plain_commit_wins_over_an_earlier_transactional_one(table: GroupOffsetTable) -> None:
    """Scenario 24: by the order of the commits, not of the marker."""
    table.commit("g", T0, at(1), 7)
    table.commit("g", T0, at(2), -1)
    table.end_transaction(7, committed=True)
    assert offset_of(table) == 2
    table.commit("g", T0, at(4), 7)
    table.end_transaction(7, committed=True)
    assert offset_of(table) == 4


def test_a_tombstone_reaches_open_transactions(table: GroupOffsetTable) -> None:
    table.commit("g", T0, at(1), 7)
    table.commit("g", T1, at(2), 7)
    table.tombstone("g", T0)
    assert not table.is_pending("g", T0)
    assert table.is_pending("g", T1)
    table.end_transaction(7, committed=True)
    assert (offset_of(table), offset_of(table, T1)) == (None, 2)


def test_two_transactions_on_one_partition(table: GroupOffsetTable) -> None:
    table.commit("g", T0, at(1), 7)
    table.commit("g", T0, at(2), 8)
    table.end_transaction(8, committed=True)
    assert table.is_pending("g", T0)
    table.end_transaction(7, committed=True)
    assert offset_of(table) == 2


def test_known_partitions(table: GroupOffsetTable) -> None:
    table.commit("g", T0, at(1), -1)
    table.commit("g", T0, at(2), 7)
    table.commit("g", T1, at(3), 7)
    assert table.known_partitions("g") == [T0, T1]
    assert table.known_partitions("h") == []


def test_offsets_of_topics(table: GroupOffsetTable) -> None:
    one, two = Uuid(15 * b"\1" + b"\1"), Uuid(15 * b"\1" + b"\2")
    table.commit("g", T0, at(1, topic_id=one), -1)
    table.commit("h", T0, at(2, topic_id=two), -1)
    table.commit("i", T0, at(3), -1)
    table.commit("j", T1, at(4, topic_id=one), 7)
    table.commit("k", TopicPartition("u", 0), at(5), -1)
    assert table.of_topics([("t", one)]) == [("g", T0), ("i", T0), ("j", T1)]


def test_groups_without_offsets_are_not_kept(table: GroupOffsetTable) -> None:
    table.commit("g", T0, at(1), -1)
    table.tombstone("g", T0)
    table.tombstone("g", T0)
    assert list(table.offsets.groups()) == []
    assert table.offsets.of_group("g") is None


def test_the_committed_view_of_a_group() -> None:
    timeline = Timeline()
    table = GroupOffsetTable(timeline)
    table.commit("g", T0, at(1), -1)
    assert table.offsets.committed_of_group("g") is None
    timeline.commit(1)
    timeline.offset = 1
    table.tombstone("g", T0)
    before = table.offsets.committed_of_group("g")
    assert before is not None
    assert before.committed_get(T0) == at(1)
    timeline.commit(2)
    assert table.offsets.committed_of_group("g") is None


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.sampled_from("gh"), st.integers(0, 2), st.sampled_from([-1, 7, 8])),
        st.tuples(st.just("tombstone"), st.sampled_from("gh"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("marker"), st.booleans(), st.just(0), st.sampled_from([7, 8])),
    ),
    max_size=25,
)


@example([("commit", "g", 0, 7), ("commit", "g", 0, -1), ("marker", True, 0, 7)], 2)
@given(EVENTS, st.integers(0, 25))
def test_equals_a_naive_model_and_reverts_to_it(events: list[tuple[str, object, int, int]], keep: int) -> None:
    """The model keeps the whole history; reverting to any offset gives the state after so many events."""
    timeline = Timeline()
    table = GroupOffsetTable(timeline)
    states = [_state(table)]
    history: list[tuple[str, object, int, int, int]] = []
    for offset, event in enumerate(events):
        timeline.offset = offset
        kind, first, partition, producer = event
        tp = TopicPartition("t", partition)
        if kind == "commit":
            table.commit(str(first), tp, at(offset), producer)
        elif kind == "tombstone":
            table.tombstone(str(first), tp)
        else:
            table.end_transaction(producer, committed=bool(first))
        history.append((*event, offset))
        states.append(_state(table))
        assert states[-1] == _model(history)
    keep = min(keep, len(events))
    timeline.revert(keep)
    assert _state(table) == states[keep]


def _state(table: GroupOffsetTable) -> object:
    visible = {(group, tp): row.offset for group, rows in table.offsets.groups() for tp, row in rows.items()}
    pending = {(group, TopicPartition("t", n)) for group in "gh" for n in range(3)}
    return visible, {(group, tp) for group, tp in pending if table.is_pending(group, tp)}


def _model(history: list[tuple[str, object, int, int, int]]) -> object:
    visible: dict[tuple[str, TopicPartition], int] = {}
    pending: dict[int, dict[tuple[str, TopicPartition], int]] = {}
    for kind, first, partition, producer, offset in history:
        tp = TopicPartition("t", partition)
        if kind == "marker":
            for key, value in pending.pop(producer, {}).items():
                if first and value > visible.get(key, -1):
                    visible[key] = value
        elif kind == "tombstone":
            visible.pop((str(first), tp), None)
            for rows in pending.values():
                rows.pop((str(first), tp), None)
        elif producer < 0:
            visible[str(first), tp] = offset
        else:
            pending.setdefault(producer, {})[str(first), tp] = offset
    return visible, {key for rows in pending.values() for key in rows}
