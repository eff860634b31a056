"""Which segments may go, by start offset, size and time."""

import os
from pathlib import Path
from typing import Any

import pytest

from pykbroker.log.retention import deletable_segments
from pykbroker.log.unified_log import UnifiedLog
from tests.log.logs import NOW, append, batch, open_log

ONE = len(batch())
DAY = 86_400_000


def log_of(directory: Path, *timestamps: int, **config: Any) -> UnifiedLog:
    """A segment for each batch."""
    config = {"segment_bytes": ONE, "retention_ms": -1, "retention_bytes": -1} | config
    log = open_log(directory / "t-0", **config)
    for timestamp in timestamps:
        append(log, batch((timestamp,)))
    assert len(log.segments) == max(len(timestamps), 1)
    return log


def going(log: UnifiedLog, now_ms: int = NOW) -> list[int]:
    return [segment.base_offset for segment in deletable_segments(log, now_ms)]


class TestByTime:
    def test_the_largest_timestamp_of_a_segment_counts(self, tmp_path: Path) -> None:
        log = log_of(tmp_path, 100, 200, 300, retention_ms=50)
        assert [going(log, now) for now in (150, 151, 250, 251, 350, 351)] == [[], [0], [0], [0, 1], [0, 1], [0, 1, 2]]

    def test_a_young_segment_keeps_the_older_ones_behind_it(self, tmp_path: Path) -> None:
        assert going(log_of(tmp_path, 100, NOW, 100, retention_ms=1000)) == [0]

    def test_without_timestamps_the_file_tells(self, tmp_path: Path) -> None:
        log = log_of(tmp_path, -1, -1, retention_ms=DAY)
        for segment, age in zip(log.segments, (2 * DAY, DAY // 2), strict=True):
            os.utime(segment.path(".log"), ((NOW - age) / 1000, (NOW - age) / 1000))
        assert going(log) == [0]

    def test_an_empty_active_segment_stays(self, tmp_path: Path) -> None:
        assert going(log_of(tmp_path, retention_ms=0)) == []

    def test_never(self, tmp_path: Path) -> None:
        assert going(log_of(tmp_path, 1, 2), 2**62) == []


class TestBySize:
    @pytest.mark.parametrize(
        ("retention_bytes", "expected"),
        [
            (5 * ONE, []),
            (4 * ONE, []),
            (4 * ONE - 1, []),
            (3 * ONE, [0]),
            (2 * ONE + 1, [0]),
            (ONE, [0, 1, 2]),
            (0, [0, 1, 2, 3]),
        ],
    )
    def test_what_is_over_goes_as_long_as_enough_stays(
        self, retention_bytes: int, expected: list[int], tmp_path: Path
    ) -> None:
        assert going(log_of(tmp_path, *[NOW] * 4, retention_bytes=retention_bytes)) == expected


class TestByStartOffset:
    @pytest.mark.parametrize(("start", "expected"), [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1])])
    def test_segments_below_the_start_go_but_never_the_active_one(
        self, start: int, expected: list[int], tmp_path: Path
    ) -> None:
        log = log_of(tmp_path, NOW, NOW, NOW)
        log.increment_log_start_offset(start)
        assert going(log) == expected

    def test_also_of_a_compacted_topic_which_knows_no_other_retention(self, tmp_path: Path) -> None:
        log = log_of(tmp_path, 1, 1, 1, retention_ms=0, retention_bytes=0, cleanup_policy=["compact"])
        log.increment_log_start_offset(1)
        assert going(log) == [0]

    def test_of_a_topic_with_both_policies(self, tmp_path: Path) -> None:
        assert going(log_of(tmp_path, 1, 1, retention_ms=0, cleanup_policy=["compact", "delete"])) == [0, 1]


def test_only_below_the_high_watermark(tmp_path: Path) -> None:
    log = log_of(tmp_path, 1, 1, 1, retention_ms=0)
    log.high_watermark = 2
    assert going(log) == [0, 1]


def test_what_goes_moves_the_start(tmp_path: Path) -> None:
    log = log_of(tmp_path, 1, 1, NOW, retention_ms=DAY)
    assert log.delete_old_segments(NOW) == 2
    assert (log.log_start_offset, log.segments[0].base_offset, log.leader_epochs.entries) == (2, 2, [(0, 2)])
    assert sorted(name for name in os.listdir(log.directory) if name.endswith(".snapshot")) == [f"{2:020d}.snapshot"]
