"""The map against a dict, its bounds, and what it says of a key it does not have."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.log import offset_map
from pykbroker.log.offset_map import ENTRY_SIZE, OffsetMap, map_for

KEYS = st.lists(st.integers(0, 60).map(lambda number: b"%d" % number), max_size=12)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.one_of(st.tuples(st.just("all"), KEYS), st.tuples(st.just("one"), KEYS)), max_size=20))
def test_as_a_dict(writes: list[tuple[str, list[bytes]]]) -> None:
    found = OffsetMap(slots=70, capacity=61)
    model: dict[bytes, int] = {}
    offset = 0
    for how, keys in writes:
        pairs = [(key, offset + index) for index, key in enumerate(keys)]
        offset += len(pairs)
        if how == "all" and len(model) + len(keys) <= found.capacity // 2:
            assert found.put_all(pairs)
        else:
            assert all(found.put(*pair) for pair in pairs)
        model.update(pairs)
        assert [found.get(key) for key in keys] == [model[key] for key in keys]
    assert len(found) == len(model)
    assert [found.get(b"%d" % number) for number in range(62)] == [
        model.get(b"%d" % number, -1) for number in range(62)
    ]


def test_a_full_map_refuses_and_stays_as_it_is() -> None:
    found = OffsetMap(slots=4, capacity=2)
    assert found.put_all([(b"a", 1), (b"b", 2)])
    assert not found.put_all([(b"c", 3)])
    assert not found.put(b"a", 4)
    assert (found.get(b"a"), found.get(b"b"), found.get(b"c")) == (1, 2, -1)


def test_the_dict_in_front_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offset_map, "RECENT_KEYS", 10)
    found = OffsetMap(slots=400, capacity=200)
    for number in range(0, 100, 5):
        assert found.put_all([(b"%d" % (number + index), number + index) for index in range(5)])
    assert [found.get(b"%d" % number) for number in range(100)] == list(range(100))
    assert len(found._recent) <= 10
    monkeypatch.setattr(offset_map, "RECENT_BYTES", 10)
    big = b"x" * 11
    assert (found.get(big), found.get(b"1"), found.get(b"2")) == (-1, 1, 2)
    assert big not in found._recent


def test_its_memory_is_what_the_keys_need_and_never_more_than_configured() -> None:
    small = map_for(134_217_728, 0.9, most_keys=100)
    assert (small.capacity, small.slots) == (100, 200)
    large = map_for(ENTRY_SIZE * 1000, 0.9, most_keys=10**9)
    assert (large.capacity, large.slots) == (900, 1000)
    with pytest.raises(ValueError, match=r"increase log.cleaner.dedupe.buffer.size"):
        map_for(ENTRY_SIZE, 0.9, most_keys=5)
