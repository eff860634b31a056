"""Neighbours are cleaned into one as long as they fit."""

from pykbroker.log.segment_groups import Sizes, group_sizes


def segments(*logs: int, index: int = 8, gap: int = 10) -> list[Sizes]:
    return [Sizes(at * gap, (at + 1) * gap - 1, log, index, index) for at, log in enumerate(logs)]


def bases(groups: list[list[Sizes]]) -> list[list[int]]:
    return [[one.base_offset for one in group] for group in groups]


def test_by_the_size_of_the_log() -> None:
    assert bases(group_sizes(segments(40, 60, 1, 100, 200, 5), 100, 1000)) == [[0, 10], [20], [30], [40], [50]]
    assert group_sizes([], 100, 1000) == []


def test_by_the_size_of_each_index() -> None:
    assert bases(group_sizes(segments(1, 1, 1, index=50), 100, 100)) == [[0, 10], [20]]
    uneven = [one._replace(time_index=60) for one in segments(1, 1, 1)]
    assert bases(group_sizes(uneven, 100, 100)) == [[0], [10], [20]]


def test_offsets_lie_within_an_int_of_the_base() -> None:
    """KAFKA-4451; an empty one does not count, else one would be left over every 2³¹ offsets (KAFKA-5413)."""
    wide = segments(1, 1, 0, 1, gap=2**30)
    assert bases(group_sizes(wide, 100, 1000)) == [[0, 2**30, 2 * 2**30], [3 * 2**30]]
