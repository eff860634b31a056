"""Offsets by timestamp, over segments whose timestamps go back and forth."""

from pathlib import Path

import pytest

from pykbroker.log.time_search import first_at_or_after, largest
from pykbroker.log.unified_log import UnifiedLog
from tests.log.logs import append, batch, open_log

# A batch each, two batches a segment; every second record is one earlier than its neighbour.
TIMES = [(10, 9), (40, 39), (20, 19), (30, 29), (25, 24), (40, 38)]


@pytest.fixture
def log(tmp_path: Path) -> UnifiedLog:
    log = open_log(tmp_path / "t-0", segment_bytes=2 * len(batch(TIMES[0])), retention_ms=-1)
    for epoch, times in enumerate(TIMES):
        append(log, batch(times), leader_epoch=epoch)
    assert [segment.base_offset for segment in log.segments] == [0, 4, 8]
    return log


@pytest.mark.parametrize(
    ("timestamp", "start", "expected"),
    [
        (-1, 0, (10, 0, 0)),
        (10, 0, (10, 0, 0)),
        (11, 0, (40, 2, 1)),
        (40, 0, (40, 2, 1)),
        (41, 0, None),
        (11, 3, (39, 3, 1)),
        (40, 3, (40, 10, 5)),
        (21, 4, (30, 6, 3)),
        (39, 11, None),
        (38, 11, (38, 11, 5)),
        (0, 12, None),
    ],
)
def test_the_first_at_or_after_both(
    timestamp: int, start: int, expected: tuple[int, int, int] | None, log: UnifiedLog
) -> None:
    assert first_at_or_after(log.segments, timestamp, start) == expected


def test_the_first_record_with_the_largest_timestamp(log: UnifiedLog) -> None:
    assert largest(log.segments) == (40, 2, 1)
    assert largest(log.segments[1:]) == (40, 10, 5)
    assert largest(log.segments[1:2]) == (30, 6, 3)


def test_records_without_timestamps(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0")
    assert largest(log.segments) is None
    append(log, batch((-1,)))
    assert largest(log.segments) is None
    assert first_at_or_after(log.segments, 0, 0) is None
    assert largest([]) is None


def test_through_the_log(log: UnifiedLog) -> None:
    log.increment_log_start_offset(5)
    assert log.offset_for_timestamp(0) == (19, 5, 2)
    assert log.offset_of_max_timestamp() == (40, 2, 1)
