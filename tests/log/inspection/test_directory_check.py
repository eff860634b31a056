"""A log directory's own files and what lies beside its partitions."""

from pathlib import Path

from pykbroker.log.inspection.report import Severity
from tests.log.inspection.checking import Inspected

HEX = 32 * "0"


def test_other_names_are_told(clean: Inspected) -> None:
    for name in (f"plain-9.{HEX}-delete", f"plain-8.{HEX}-stray", "what"):
        (clean.path / name).mkdir()
    for name in ("recovery-point-offset-checkpoint.tmp", "core.1234"):
        (clean.path / name).touch()
    findings = clean.check()
    assert {finding.severity for finding in findings} == {Severity.NOTE}
    assert [(Path(finding.path).name.partition(".")[0], finding.kind) for finding in findings] == [
        ("core", "unknown file"),
        ("plain-8", "leftover"),
        ("plain-9", "leftover"),
        ("recovery-point-offset-checkpoint", "leftover"),
        ("what", "unknown file"),
    ]


def test_a_copy_under_way_is_read_too(clean: Inspected) -> None:
    future = clean.path / f"plain-0.{HEX}-future"
    future.mkdir()
    (future / "partition.metadata").write_bytes((clean.path / "plain-0" / "partition.metadata").read_bytes())
    assert [finding.kind for finding in clean.check()] == ["leftover"]
    (future / f"{0:020}.log").write_bytes(b"junk")
    assert "torn" in {finding.kind for finding in clean.check()}


def test_meta_properties(clean: Inspected) -> None:
    clean.file("meta.properties").unlink()
    assert clean.check().only().kind == "meta.properties"


def test_the_clean_shutdown_file_is_of_this_run(clean: Inspected) -> None:
    clean.replace(".kafka_cleanshutdown", "12", "13")
    assert clean.check().only().kind == "clean shutdown"
    clean.replace(".kafka_cleanshutdown", "brokerEpoch", "brokerepoch")
    assert clean.check().only().position == 0


def test_a_topic_that_the_metadata_log_does_not_know(clean: Inspected) -> None:
    (clean.path / "plain-1").rename(clean.path / "plane-1")
    told = {(finding.kind, Path(finding.path).name) for finding in clean.check().defects}
    assert {("stray", "plane-1"), ("missing", "plain-1")} <= told


def test_another_topics_directory(clean: Inspected) -> None:
    other = (clean.path / "empty-0" / "partition.metadata").read_text()
    clean.file("plain-0/partition.metadata").write_text(other)
    finding = clean.check().only()
    assert finding.kind == "partition metadata"
    assert finding.path.endswith("plain-0/partition.metadata")


def test_what_cannot_be_read_is_a_finding_and_the_rest_goes_on(clean: Inspected) -> None:
    log = clean.file(f"txn-0/{0:020}.log")
    log.unlink()
    log.mkdir()
    clean.flip(f"txn-open-0/{0:020}.log", 70)
    kinds = [(Path(finding.path).parent.name, finding.kind) for finding in clean.check().defects]
    assert ("txn-0", "unreadable") in kinds
    assert ("txn-open-0", "checksum") in kinds
