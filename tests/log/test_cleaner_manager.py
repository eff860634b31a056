"""Which log is cleaned next, and between which offsets."""

import errno
from pathlib import Path
from typing import Any

import pytest

from pykbroker.clock import ManualClock
from pykbroker.log.cleaner_manager import cleanable_range, compaction_delay, filthiest, segments_between, to_clean
from pykbroker.log.unified_log import UnifiedLog
from tests.log.cleaners import keyed, put, put_transactional
from tests.log.logs import NOW, FailingFiles, open_log, topic_config

ONE = len(keyed((b"k", b"v")))


def log_of(directory: Path, batches: int = 4, **config: Any) -> UnifiedLog:
    """A segment for each batch, the last one active."""
    values = {"segment_bytes": ONE, "cleanup_policy": ["compact"], **config}
    log = open_log(directory, clock=ManualClock(wall_ms=NOW), files=FailingFiles(), **values)
    for number in range(batches):
        put(log, (b"k", b"v"), timestamp=NOW + number)
    return log


@pytest.fixture
def log(tmp_path: Path) -> UnifiedLog:
    return log_of(tmp_path / "t-0")


def reconfigure(log: UnifiedLog, **values: Any) -> None:
    log.update_config(topic_config(**{**log.config.__dict__, **values}))


class TestRange:
    def test_to_the_active_segment(self, log: UnifiedLog) -> None:
        assert cleanable_range(log, NOW) == (0, 3)
        log.cleaning.first_dirty_offset = 2
        assert cleanable_range(log, NOW) == (2, 3)

    def test_to_the_last_stable_offset(self, log: UnifiedLog) -> None:
        put_transactional(log, 1, (b"k", b"v"))
        put(log, (b"k", b"v"))
        put(log, (b"k", b"v"))
        assert cleanable_range(log, NOW) == (0, 4)
        log.update_high_watermark(2)
        assert cleanable_range(log, NOW) == (0, 2)

    def test_not_what_is_younger_than_min_compaction_lag(self, log: UnifiedLog) -> None:
        reconfigure(log, min_compaction_lag_ms=1000)
        assert cleanable_range(log, NOW + 1000) == (0, 1)
        assert cleanable_range(log, NOW + 1002) == (0, 3)
        assert cleanable_range(log, NOW) == (0, 0)
        log.cleaning.first_dirty_offset = 2
        assert cleanable_range(log, NOW) == (2, 2)

    def test_a_checkpoint_behind_the_end_begins_anew(self, log: UnifiedLog, caplog: pytest.LogCaptureFixture) -> None:
        log.cleaning.first_dirty_offset = 5
        assert cleanable_range(log, NOW) == (0, 3)
        assert "not within its offsets 0 to 4" in caplog.text
        assert log.cleaning.first_dirty_offset == 0

    @pytest.mark.parametrize(("policy", "warns"), [(["compact"], True), (["compact", "delete"], False)])
    def test_a_checkpoint_before_the_start(
        self, log: UnifiedLog, policy: list[str], warns: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Retention beside compaction does that all the time: not worth a word."""
        reconfigure(log, cleanup_policy=policy)
        log.cleaning.first_dirty_offset = 0
        log.increment_log_start_offset(2)
        assert cleanable_range(log, NOW) == (2, 3)
        assert ("not within" in caplog.text) == warns


class TestDirtiness:
    def test_bytes(self, log: UnifiedLog) -> None:
        log.cleaning.first_dirty_offset = 1
        found = to_clean(log, NOW)
        assert (found.clean_bytes, found.cleanable_bytes, found.ratio) == (ONE, 2 * ONE, 2 / 3)
        assert (found.first_dirty, found.first_uncleanable, found.is_urgent) == (1, 3, False)

    def test_a_segment_that_is_clean_in_part_counts_as_both(self, tmp_path: Path) -> None:
        log = log_of(tmp_path / "t-0", segment_bytes=2 * ONE)
        log.roll(NOW)
        log.cleaning.first_dirty_offset = 1
        found = to_clean(log, NOW)
        assert (found.clean_bytes, found.cleanable_bytes) == (2 * ONE, 4 * ONE)

    def test_what_cannot_be_cleaned_whole_is_not_begun(self, tmp_path: Path) -> None:
        log = log_of(tmp_path / "t-0", segment_bytes=2 * ONE)
        log.update_high_watermark(1)
        found = to_clean(log, NOW)
        assert (found.first_uncleanable, found.cleanable_bytes, found.ratio, found.is_due) == (0, 0, 0.0, False)

    def test_the_dirtiest_one_first(self, tmp_path: Path) -> None:
        half, most, little = (log_of(tmp_path / name) for name in ("half-0", "most-0", "little-0"))
        half.cleaning.first_dirty_offset, most.cleaning.first_dirty_offset = 1, 0
        little.cleaning.first_dirty_offset = 2
        found = filthiest([little, half, most], NOW)
        assert found is not None
        assert found.log is most
        most.cleaning.is_in_progress = True
        half.cleaning.is_uncleanable = True
        assert filthiest([little, half, most], NOW) is None
        reconfigure(little, min_cleanable_dirty_ratio=0.3)
        assert filthiest([little, half, most], NOW) == to_clean(little, NOW)

    def test_only_compacted_logs(self, log: UnifiedLog) -> None:
        reconfigure(log, cleanup_policy=["delete"])
        assert filthiest([log], NOW) is None
        reconfigure(log, cleanup_policy=["delete", "compact"])
        assert filthiest([log], NOW) is not None

    def test_a_disk_that_fails(self, log: UnifiedLog) -> None:
        failed: list[OSError] = []
        log.on_io_error = failed.append
        reconfigure(log, max_compaction_lag_ms=1)
        for segment in log.segments:
            segment.first_timestamp = None
            segment.release()
        assert isinstance(log.files, FailingFiles)
        log.files.failing["pread"] = errno.EIO
        assert filthiest([log], NOW) is None
        assert [error.errno for error in failed] == [errno.EIO]


class TestMaxCompactionLag:
    def test_a_log_is_due_when_its_oldest_dirty_record_waited_so_long(self, log: UnifiedLog) -> None:
        reconfigure(log, max_compaction_lag_ms=1000, min_cleanable_dirty_ratio=1.0)
        assert compaction_delay(log, 0, NOW + 1000) == 0
        assert filthiest([log], NOW + 1000) is None
        assert compaction_delay(log, 0, NOW + 1007) == 7
        assert filthiest([log], NOW + 1007) is not None
        assert compaction_delay(log, 2, NOW + 1007) == 5
        log.cleaning.first_dirty_offset = 3
        assert filthiest([log], NOW + 9999) is None, "nothing is cleanable"

    def test_never_by_default(self, log: UnifiedLog) -> None:
        assert compaction_delay(log, 0, 2**62) == 0


def test_segments_between(log: UnifiedLog) -> None:
    def bases(start: int, end: int) -> list[int]:
        return [segment.base_offset for segment in segments_between(log, start, end)]

    assert bases(0, 3) == [0, 1, 2]
    assert bases(1, 9) == [1, 2, 3]
    assert bases(2, 2) == []
