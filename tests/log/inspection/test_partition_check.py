"""One partition that we wrote: sound as it is; and what is told of each thing that is wrong with its files."""

import shutil
from pathlib import Path

import pytest

from pykbroker.ids import Uuid
from pykbroker.log.inspection.report import Severity
from tests.log.inspection.checking import flip
from tests.log.inspection.logs import Written, segments, write_transactions
from tests.log.logs import append, batch


@pytest.fixture
def written(tmp_path: Path) -> Written:
    written = Written(tmp_path)
    with written.opened() as log:
        write_transactions(log)
    assert len(segments(written.path)) >= 3
    assert segments(written.path, ".txnindex")
    return written


def test_what_we_write_is_sound(written: Written) -> None:
    findings, result = written.check()
    assert findings == []
    assert (result.first_offset, result.end_offset, result.topic_id) == (0, 8 * 7, Uuid(range(16)))
    assert (result.epoch, result.is_preallocated) == (0, False)


def test_and_when_it_goes_on_after_a_restart(written: Written) -> None:
    with written.opened() as log:
        write_transactions(log)
    assert written.findings() == []


def test_a_log_that_was_not_closed_is_preallocated_and_well(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.is_clean = False
    with written.opened() as log:
        write_transactions(log)
        findings, result = written.check()
    assert findings == []
    assert result.is_preallocated


def test_zeros_behind_an_index_of_a_log_that_was_closed(written: Written) -> None:
    index = segments(written.path, ".index")[0]
    index.write_bytes(index.read_bytes() + bytes(80))
    finding = written.findings().only()
    assert (finding.kind, finding.path) == ("offset index", str(index))
    assert finding.position == index.stat().st_size - 80


@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
def test_a_missing_index(written: Written, suffix: str) -> None:
    index = segments(written.path, suffix)[0]
    index.unlink()
    assert str(index) in {finding.path for finding in written.findings().defects}


def test_a_missing_segment(written: Written) -> None:
    lost = segments(written.path)[1]
    lost.unlink()
    findings = written.findings().defects
    assert {"orphan", "gap"} <= {finding.kind for finding in findings}
    gap = next(finding for finding in findings if finding.kind == "gap")
    assert gap.offset == int(lost.name[:20])


def test_a_replacement_that_was_interrupted(written: Written) -> None:
    """The old segment is gone, the new one has its last name for its index alone."""
    written.is_clean, written.recovery_point, written.may_be_compacted = False, 8 * 7, True
    second = segments(written.path)[1]
    second.rename(f"{second}.swap")
    findings = written.findings()
    assert {finding.kind for finding in findings} == {"leftover", "orphan"}
    assert {finding.severity for finding in findings} == {Severity.RECOVERY}


def test_offsets_may_be_missing_where_compaction_takes_them(written: Written) -> None:
    written.may_be_compacted = True
    for path in written.path.glob(f"{segments(written.path)[1].name[:20]}.*"):
        path.unlink()
    assert written.findings() == []


def test_a_segment_that_repeats_offsets(written: Written) -> None:
    first, second = segments(written.path)[:2]
    shutil.copy(second, first.with_name(f"{int(second.name[:20]) - 1:020}.log"))
    assert "offsets" in {finding.kind for finding in written.findings().defects}


def test_damage_in_the_middle_is_a_defect_even_after_a_kill(written: Written) -> None:
    """Recovery would take the good batches behind it too."""
    last = segments(written.path)[-1]
    written.is_clean, written.recovery_point = False, int(last.name[:20])
    flip(last, 70)
    findings = written.findings()
    finding = next(finding for finding in findings if finding.kind == "checksum")
    assert finding.severity is Severity.DEFECT
    assert (finding.path, finding.position) == (str(last), 0)
    assert "good batches behind" in finding.message


def test_a_torn_tail_needs_recovery(written: Written) -> None:
    last = segments(written.path)[-1]
    written.is_clean, written.recovery_point = False, int(last.name[:20])
    last.write_bytes(last.read_bytes()[:-3])
    findings, result = written.check()
    assert findings.defects == []
    assert [finding.kind for finding in findings if finding.path == str(last)] == ["torn"]
    assert result.end_offset == 8 * 7 - 1


def test_a_torn_segment_that_was_flushed_is_a_defect(written: Written) -> None:
    written.is_clean, written.recovery_point = False, 8 * 7
    second = segments(written.path)[1]
    second.write_bytes(second.read_bytes()[:-3])
    assert {finding.kind for finding in written.findings().defects} >= {"torn"}


def test_partition_metadata(written: Written) -> None:
    path = written.path / "partition.metadata"
    flip(path, 3)
    assert written.findings().only().path == str(path)
    path.write_bytes(b"")
    assert written.findings().only().severity is Severity.DEFECT
    written.is_clean = False
    assert Severity.DEFECT not in {finding.severity for finding in written.findings()}
    path.unlink()
    assert [finding.path for finding in written.findings().defects] == [str(path)]


def test_leftovers_are_named(written: Written) -> None:
    for name in (
        f"{0:020}.log.deleted",
        f"{0:020}.index.deleted",
        f"{0:020}.index.cleaned",
        f"{0:020}.log.swap",
        "leader-epoch-checkpoint.tmp",
        "notes.txt",
    ):
        (written.path / name).write_bytes(b"")
    findings = written.findings()
    assert "2 files" in findings[0].message
    assert [(Path(finding.path).name, finding.severity) for finding in findings] == [
        ("t-0", Severity.NOTE),
        (f"{0:020}.index.cleaned", Severity.NOTE),
        (f"{0:020}.log.swap", Severity.RECOVERY),
        ("leader-epoch-checkpoint.tmp", Severity.NOTE),
        ("notes.txt", Severity.NOTE),
    ]


def test_a_directory_without_a_segment(tmp_path: Path) -> None:
    written = Written(tmp_path)
    with written.opened() as log:
        append(log, batch())
    for path in written.path.glob("0*"):
        path.unlink()
    assert "there is no segment" in {finding.message for finding in written.findings().defects}
