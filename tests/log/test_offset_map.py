"""The map against a dict, its bounds, and what it says of a key it does not have."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.log.latest_offsets import LatestOffsets
from pykbroker.log.offset_map import DICT_ENTRY_SIZE, ENTRY_SIZE, OffsetMap, map_for

KEYS = st.lists(st.integers(0, 60).map(lambda number: b"%d" % number), max_size=12)
LARGE = 1 << 20


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.one_of(st.tuples(st.just("all"), KEYS), st.tuples(st.just("one"), KEYS)), max_size=20),
    st.sampled_from([0, 10 * DICT_ENTRY_SIZE, LARGE]),
)
def test_as_a_dict(writes: list[tuple[str, list[bytes]]], dict_bytes: int) -> None:
    found = OffsetMap(slots=70, capacity=61, dict_bytes=dict_bytes)
    model: dict[bytes, int] = {}
    offset = 0
    for how, keys in writes:
        offsets = range(offset, offset + len(keys))
        offset += len(keys)
        if how == "all" and len(model) + len(keys) <= found.capacity // 2:
            assert found.put_all(keys, offsets)
        else:
            assert all(map(found.put, keys, offsets))
        model.update(zip(keys, offsets, strict=True))
        assert [found.get(key) for key in keys] == [model[key] for key in keys]
    assert len(found) == len(model)
    assert sorted(found.offsets()) == sorted(model.values())
    assert found.has_none_of([b"61", b"62"])
    assert all(not found.has_none_of([b"61", key]) for key in model)
    assert [found.get(b"%d" % number) for number in range(62)] == [
        model.get(b"%d" % number, -1) for number in range(62)
    ]


@pytest.mark.parametrize("dict_bytes", [0, LARGE])
def test_a_full_map_refuses_and_stays_as_it_is(dict_bytes: int) -> None:
    found = OffsetMap(slots=4, capacity=2, dict_bytes=dict_bytes)
    assert found.put_all([b"a", b"b"], [1, 2])
    assert not found.put_all([b"c"], [3])
    assert not found.put(b"a", 4)
    assert (found.get(b"a"), found.get(b"b"), found.get(b"c")) == (1, 2, -1)


def test_the_dict_in_front_is_bounded() -> None:
    found = OffsetMap(slots=400, capacity=200, dict_bytes=10 * DICT_ENTRY_SIZE)
    for number in range(0, 100, 5):
        assert found.put_all([b"%d" % (number + index) for index in range(5)], range(number, number + 5))
        assert len(found._dict) <= 15
    assert [found.get(b"%d" % number) for number in range(100)] == list(range(100))
    assert len(found._dict) <= 11
    assert (found.get(b"x" * 5000), found.get(b"1")) == (-1, 1)
    assert list(found._dict) == [b"1"]


def test_keys_that_find_room_in_the_dict_need_no_table() -> None:
    found = map_for(134_217_728, 0.9, most_keys=10**6)
    assert found.put_all([b"a", b"b", b"a"], range(3))
    assert (found.get(b"a"), found.get(b"c"), sorted(found.offsets())) == (2, -1, [1, 2])
    assert not found._table


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(KEYS, st.integers(0, 5), st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4)), max_size=8))
def test_latest_offsets_are_those_of_the_map(keys: list[bytes], first: int, asked: list[tuple[int, int]]) -> None:
    found = OffsetMap(slots=100, capacity=61, dict_bytes=LARGE)
    assert found.put_all(keys, range(first, first + len(keys)))
    found.latest_offset = first + len(keys) - 1
    latest = LatestOffsets(found, first, window=4)
    wanted = set({key: first + index for index, key in enumerate(keys)}.values())
    for start, count in asked:
        is_covered = start >= first and start + count <= first + len(keys)
        expected = bytes(offset in wanted for offset in range(start, start + count)) if is_covered else None
        assert latest.among(start, start + count - 1) == expected
    assert latest.among(first, first + 4) is None


def test_its_memory_is_what_the_keys_need_and_never_more_than_configured() -> None:
    small = map_for(134_217_728, 0.9, most_keys=100)
    assert (small.capacity, small.slots) == (100, 200)
    large = map_for(ENTRY_SIZE * 1000, 0.9, most_keys=10**9)
    assert (large.capacity, large.slots) == (900, 1000)
    with pytest.raises(ValueError, match=r"increase log.cleaner.dedupe.buffer.size"):
        map_for(ENTRY_SIZE, 0.9, most_keys=5)
