"""Findings in one line each, and no more of one kind than a person reads."""

from pykbroker.log.inspection.report import Report, Severity
from tests.log.inspection.checking import Findings


def test_a_finding_is_one_line_with_its_place() -> None:
    findings = Findings()
    findings.report.defect("checksum", "t-0/0.log", "wrong", position=12, offset=3)
    findings.report.note("leftover", "t-0/0.log.deleted", "goes")
    assert [str(finding) for finding in findings] == [
        "defect: t-0/0.log, byte 12, offset 3: checksum: wrong",
        "note: t-0/0.log.deleted: leftover: goes",
    ]


def test_many_of_a_kind_in_one_file_are_counted_not_told() -> None:
    findings = Findings()
    for position in range(Report.PER_FILE_AND_KIND + 5):
        findings.report.defect("checksum", "a.log", "wrong", position=position)
    findings.report.defect("checksum", "b.log", "wrong")
    assert len(findings) == Report.PER_FILE_AND_KIND + 1
    assert findings.report.suppressed == 5
    assert findings.report.counts[Severity.DEFECT] == Report.PER_FILE_AND_KIND + 6
