"""Records that a coordinator could not read are found; those of other topics when it is asked for."""

from pathlib import Path

from pykbroker.log.inspection.record_check import RecordCheck
from pykbroker.record.batch import pack_header, parse_header
from pykbroker.record.builder import build_batch
from tests.log.inspection.checking import Findings, found_batch
from tests.log.logs import NOW


def check(path: Path, topic: str, data: bytes, *, is_deep: bool = False) -> Findings:
    findings = Findings()
    RecordCheck(topic, findings.report, is_deep=is_deep).take(str(path), found_batch(path, data))
    return findings


def test_coordinator_records(tmp_path: Path) -> None:
    data = build_batch([(b"\0\2\0\1g", None, (), NOW), (b"\0\2\0", None, (), NOW)], base_offset=7)
    finding = check(tmp_path / "0.log", "__consumer_offsets", data).only()
    assert (finding.kind, finding.position, finding.offset) == ("record", 0, 8)
    assert check(tmp_path / "0.log", "plain", data, is_deep=True) == []


def test_control_records_of_any_topic(tmp_path: Path) -> None:
    data = build_batch([(b"\0\0\0\1", b"", (), NOW)], is_control=True, producer_id=1, producer_epoch=0)
    assert check(tmp_path / "0.log", "plain", data).only().offset == 0


def test_records_that_contradict_their_batch(tmp_path: Path) -> None:
    """With the right checksum: only who reads them sees it."""
    data = build_batch([(b"k", b"v", (), NOW)] * 3)
    header = parse_header(data)
    pack_header(data, header._replace(record_count=2))
    assert check(tmp_path / "0.log", "plain", data) == []
    assert check(tmp_path / "0.log", "plain", data, is_deep=True).only().kind == "record"
    pack_header(data, header._replace(last_offset_delta=1))
    assert check(tmp_path / "0.log", "plain", data, is_deep=True).only().offset == 2
