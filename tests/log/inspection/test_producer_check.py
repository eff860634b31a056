"""Snapshots and transaction indexes against the producers that the batches tell of."""

from pathlib import Path

import pytest

from pykbroker.log.files import Files
from pykbroker.log.inspection.report import Severity
from pykbroker.log.producer_entry import ProducerEntry
from pykbroker.log.producer_snapshot import read_snapshot, write_snapshot
from tests.log.inspection.logs import Written, segments, write_transactions


@pytest.fixture
def written(tmp_path: Path) -> Written:
    written = Written(tmp_path)
    with written.opened() as log:
        write_transactions(log)
    return written


def rewrite(path: Path, entries: list[ProducerEntry]) -> None:
    write_snapshot(Files(), str(path), entries, sync=False)


def test_a_snapshot_that_says_something_else(written: Written) -> None:
    path = segments(written.path, ".snapshot")[0]
    entries = read_snapshot(Files(), str(path))
    entries[1].epoch += 1
    rewrite(path, entries)
    finding = written.findings().defects[0]
    assert (finding.kind, finding.path, finding.position) == ("producer snapshot", str(path), 56)
    assert finding.message == "producer 2 has producer epoch 1, but by the log 0"


def test_a_snapshot_with_an_unknown_producer(written: Written) -> None:
    path = segments(written.path, ".snapshot")[0]
    rewrite(path, [*read_snapshot(Files(), str(path)), ProducerEntry(99, 0)])
    assert written.findings().only().message == "producer 99 is in no batch before"


def test_expired_producers_are_not_in_a_snapshot(written: Written) -> None:
    """But those with an open transaction are, for they never expire."""
    path = segments(written.path, ".snapshot")[-1]
    rewrite(path, [])
    assert written.findings() == []
    path = segments(written.path, ".snapshot")[0]
    entries = read_snapshot(Files(), str(path))
    assert any(entry.first_offset >= 0 for entry in entries)
    rewrite(path, [entry for entry in entries if entry.first_offset < 0])
    assert "transaction is open" in written.findings().defects[0].message


def test_a_log_that_lost_its_beginning_goes_on_from_the_snapshot_there(written: Written) -> None:
    second = segments(written.path)[1].name[:20]
    for path in [*segments(written.path, ".log")[:1], *segments(written.path, ".index")[:1]]:
        path.unlink()
    (written.path / f"{0:020}.timeindex").unlink()
    (written.path / f"{0:020}.txnindex").unlink(missing_ok=True)
    written.log_start_offset = int(second)
    findings = [finding for finding in written.findings() if finding.kind != "leader epoch"]
    assert findings == []


def test_a_transaction_index_that_is_gone(written: Written) -> None:
    path = segments(written.path, ".txnindex")[0]
    path.unlink()
    findings = written.findings().defects
    assert {(finding.kind, finding.path) for finding in findings} == {("transaction index", str(path))}
    assert "is missing" in findings[0].message


def test_a_transaction_that_was_not_aborted(written: Written) -> None:
    first, second = segments(written.path, ".txnindex")[:2]
    entry = second.read_bytes()[:34]
    second.unlink()
    first.write_bytes(first.read_bytes() + entry)
    told = [(finding.path, finding.message.rpartition(" is ")[2]) for finding in written.findings().defects]
    assert (str(first), "not in the log") in told
    assert (str(second), "missing") in told


def test_after_a_kill_the_last_segment_is_rebuilt(written: Written) -> None:
    written.is_clean = False
    written.recovery_point = int(segments(written.path)[-1].name[:20])
    segments(written.path, ".snapshot")[-1].write_bytes(b"junk")
    assert written.findings().only().severity is Severity.RECOVERY
