"""Logs with message sets of magic 0 and 1, as brokers before 0.11 wrote them: recovered, read, searched and compacted.

Nothing writes them any more, and Kafka 4 converts neither way: they are served as they are stored.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from pykbroker.log.legacy_filter import legacy_records
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.batch import iterate_frames
from pykbroker.record.reader import Record
from tests.golden_data import golden_lines
from tests.log.cleaners import clean
from tests.log.logs import NOW, append, batch, open_log

LINES = [line for line in golden_lines("records/batches.jsonl.gz") if line["magic"] < 2 and line["case"] != "offset"]
IDS = [f"{line['case']}-{line['magic']}-{line['codec']}" for line in LINES]


def stored(directory: Path, data: bytes, **config: Any) -> UnifiedLog:
    """A log with nothing but the segment: all else is rebuilt."""
    directory.mkdir()
    (directory / f"{0:020d}.log").write_bytes(data)
    log = open_log(directory, clean=False, **config)
    log.update_high_watermark(log.log_end_offset)
    return log


def records_of(data: bytes) -> list[Record]:
    return [record for at, size in iterate_frames(data) for record in legacy_records(data[at : at + size])]


@pytest.mark.parametrize("line", LINES, ids=IDS)
def test_they_are_recovered_and_served_as_they_are(line: dict[str, Any], tmp_path: Path) -> None:
    data = bytes.fromhex(line["hex"])
    log = stored(tmp_path / "t-0", data)
    expected = records_of(data)
    assert log.log_end_offset == expected[-1].offset + 1
    for record in expected:
        (region,) = log.read(record.offset, 1, upper_bound=log.log_end_offset, min_one=True).segments
        found = os.pread(region.file.fileno(), region.length, region.position)
        assert record in records_of(found)


@pytest.mark.parametrize("line", LINES, ids=IDS)
def test_offsets_for_times(line: dict[str, Any], tmp_path: Path) -> None:
    """Magic 0 has none."""
    data = bytes.fromhex(line["hex"])
    log = stored(tmp_path / "t-0", data)
    for timestamp in {record.timestamp for record in records_of(data)}:
        found = log.offset_for_timestamp(max(timestamp, 0))
        if line["magic"] == 0:
            assert found is None
        else:
            first = next(record for record in records_of(data) if record.timestamp >= timestamp)
            assert found is not None
            assert (found.offset, found.timestamp) == (first.offset, first.timestamp)


@pytest.mark.parametrize("line", LINES, ids=IDS)
def test_a_torn_or_damaged_set_ends_them(line: dict[str, Any], tmp_path: Path) -> None:
    data = bytes.fromhex(line["hex"])
    frames = list(iterate_frames(data))
    start = frames[-1][0]
    log = stored(tmp_path / "t-0", data[:-1])
    assert log.size == start
    log = stored(tmp_path / "t-1", data[:-1] + bytes([data[-1] ^ 1]))
    assert log.size == start


@pytest.mark.parametrize("line", LINES, ids=IDS)
def test_they_are_compacted_among_newer_ones(line: dict[str, Any], tmp_path: Path) -> None:
    data = bytes.fromhex(line["hex"])
    log = stored(tmp_path / "t-0", data, cleanup_policy=["compact"])
    append(log, batch(value=b"new"))  # its key is k
    log.roll(NOW)
    append(log, batch(value=b"newer"))
    clean(log)
    kept = [
        record
        for segment in log.segments[:-1]
        for each in segment.batches(0)
        if each.header is None
        for record in legacy_records(segment.read(each.position, each.size))
    ]
    assert all(record.key is not None for record in kept)
    newest = {record.key: record.offset for record in records_of(data)}
    assert all(newest[record.key] == record.offset for record in kept)
    values = {record.key for record in records_of(data) if record.value is not None and record.key is not None}
    alive = {key for key in values if next(r for r in records_of(data) if r.offset == newest[key]).value is not None}
    assert alive <= {record.key for record in kept}
