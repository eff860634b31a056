"""Two views of one dict: written and committed."""

from hypothesis import given
from hypothesis import strategies as st

from pykbroker.coordinator.timeline import Timeline, TimelineDict


def make() -> tuple[Timeline, TimelineDict[str, int]]:
    timeline = Timeline()
    return timeline, TimelineDict(timeline)


def test_a_write_is_committed_when_the_high_watermark_passes_it() -> None:
    timeline, table = make()
    timeline.offset = 5
    table["a"] = 1
    assert (table["a"], table.committed_get("a"), table.committed_items()) == (1, None, [])
    timeline.commit(5)
    assert table.committed_get("a") is None
    timeline.commit(6)
    assert table.committed_get("a") == 1
    assert timeline.uncommitted == 0


def test_each_commit_shows_its_own_value() -> None:
    timeline, table = make()
    for offset in range(3):
        timeline.offset = offset
        table["a"] = offset
    table.pop("a")
    seen = []
    for high_watermark in range(4):
        timeline.commit(high_watermark)
        seen.append(table.committed_get("a"))
    assert seen == [None, 0, 1, None]


def test_what_is_committed_already_leaves_no_trace() -> None:
    timeline, table = make()
    timeline.commit(100)
    timeline.offset = 7
    table["a"] = 1
    assert table.committed_get("a") == 1
    assert timeline.uncommitted == 0


def test_revert_restores_what_was() -> None:
    timeline, table = make()
    table["a"] = 1
    timeline.commit(1)
    timeline.offset = 1
    table["a"] = 2
    timeline.offset = 2
    table["b"] = 3
    table.pop("a")
    timeline.revert(2)
    assert dict(table.items()) == {"a": 2}
    timeline.revert(1)
    assert dict(table.items()) == {"a": 1}
    assert table.committed_items() == [("a", 1)]


def test_removed_but_not_committed_is_still_committed() -> None:
    timeline, table = make()
    table["a"] = 1
    timeline.commit(1)
    timeline.offset = 1
    assert table.pop("a") == 1
    assert table.pop("a") is None
    assert ("a" in table, len(table), list(table)) == (False, 0, [])
    assert table.committed_items() == [("a", 1)]


def test_the_high_watermark_never_goes_back() -> None:
    timeline, _ = make()
    timeline.commit(5)
    timeline.commit(3)
    assert timeline.committed == 5


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers())), max_size=30), st.data())
def test_equals_a_history_of_copies(writes: list[tuple[str, int | None]], data: st.DataObject) -> None:
    """`copies[n]`: the dict after n writes, which is what is committed at offset n."""
    timeline, table = make()
    copies: list[dict[str, int]] = [{}]
    committed = 0
    for key, value in writes:
        timeline.offset = len(copies) - 1
        copies.append(dict(copies[-1]))
        if value is None:
            table.pop(key)
            copies[-1].pop(key, None)
        else:
            table[key] = copies[-1][key] = value
        step = data.draw(st.sampled_from(["none", "commit", "revert"]))
        if step == "commit":
            committed = data.draw(st.integers(committed, len(copies) - 1))
            timeline.commit(committed)
        elif step == "revert":
            back_to = data.draw(st.integers(committed, len(copies) - 1))
            timeline.revert(back_to)
            del copies[back_to + 1 :]
        assert dict(table.items()) == copies[-1]
        assert dict(table.committed_items()) == copies[committed]
