"""Interrupted operations: either broker finishes or undoes the other's."""

import os
import shutil
from pathlib import Path

from tests.log.logs import append, batch, open_log

FILES = (".log", ".index", ".timeindex")
FIRST = f"{0:020d}"


def one_record(directory: Path) -> None:
    log = open_log(directory)
    append(log, batch())
    log.close()


def test_a_swap_is_finished_although_the_originals_are_deleted(tmp_path: Path) -> None:
    directory = tmp_path / "t-0"
    one_record(directory)
    for suffix in FILES:
        shutil.copy(directory / (FIRST + suffix), directory / f"{FIRST}{suffix}.swap")
        os.rename(directory / (FIRST + suffix), directory / f"{FIRST}{suffix}.deleted")
    assert open_log(directory, clean=False).log_end_offset == 1
    assert not [name for name in os.listdir(directory) if name.endswith((".swap", ".deleted"))]


def test_segments_that_a_swap_replaces_go(tmp_path: Path) -> None:
    """Three segments were compacted into one; the broker died before it had removed the second and third."""
    directory = tmp_path / "t-0"
    log = open_log(directory, segment_bytes=130)
    for _ in range(4):
        append(log, batch())
    assert [segment.base_offset for segment in log.segments] == [0, 1, 2, 3]
    log.close()
    whole = b"".join((directory / f"{offset:020d}.log").read_bytes() for offset in range(3))
    (directory / f"{FIRST}.log.swap").write_bytes(whole)
    log = open_log(directory, clean=False, segment_bytes=130)
    assert [segment.base_offset for segment in log.segments] == [0, 3]
    assert log.log_end_offset == 4


def test_a_swap_that_had_not_begun_everywhere_is_undone(tmp_path: Path) -> None:
    directory = tmp_path / "t-0"
    one_record(directory)
    (directory / f"{FIRST}.log.cleaned").write_bytes(b"half")
    (directory / f"{1:020d}.log.swap").write_bytes(b"half")
    assert open_log(directory, clean=False).log_end_offset == 1
    assert not [name for name in os.listdir(directory) if name.endswith((".swap", ".cleaned"))]


def test_indexes_without_a_segment_go_and_rafts_files_stay(tmp_path: Path) -> None:
    directory = tmp_path / "__cluster_metadata-0"
    one_record(directory)
    orphan, kept = directory / f"{7:020d}.index", directory / f"{FIRST}-0000000001.checkpoint.deleted"
    orphan.write_bytes(b"")
    kept.write_bytes(b"")
    open_log(directory)
    assert not orphan.exists()
    assert kept.exists()
