"""leader-epoch-checkpoint against the epochs in the batches."""

from pathlib import Path

import pytest

from pykbroker.log.inspection.report import Severity
from tests.log.inspection.checking import flip
from tests.log.inspection.logs import Written, segments
from tests.log.logs import append, batch

EPOCH_FIELD = 15


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Epoch 0 from offset 0, 3 from 2, 4 from 4."""
    written = Written(tmp_path)
    with written.opened() as log:
        for epoch in (0, 0, 3, 3, 4):
            append(log, batch(), leader_epoch=epoch)
    assert (written.path / "leader-epoch-checkpoint").read_text() == "0\n3\n0 0\n3 2\n4 4\n"
    assert written.findings() == []
    return written


def checkpoint(written: Written, text: str) -> list[tuple[str, int, int]]:
    """(file, byte, offset) of each finding with this content of the checkpoint."""
    (written.path / "leader-epoch-checkpoint").write_text(text)
    return [(Path(each.path).name, each.position, each.offset) for each in written.findings()]


def test_epochs_that_the_batches_do_not_bear(written: Written) -> None:
    log, size = segments(written.path)[0].name, len(batch())
    assert checkpoint(written, "0\n3\n0 0\n2 2\n4 4\n") == [(log, 2 * size, 2)]
    assert checkpoint(written, "0\n3\n0 0\n3 1\n4 4\n") == [(log, size, 1)]
    assert checkpoint(written, "0\n2\n3 2\n4 4\n") == [("leader-epoch-checkpoint", -1, 0)]
    assert checkpoint(written, "0\n4\n0 0\n3 2\n4 4\n5 9\n") == [("leader-epoch-checkpoint", 16, -1)]
    assert checkpoint(written, "0\n4\n0 0\n3 2\n4 4\n5 5\n") == []  # a leader that wrote nothing yet


def test_a_missing_or_broken_checkpoint(written: Written) -> None:
    assert ("leader-epoch-checkpoint", 2, -1) in checkpoint(written, "0\n4\n0 0\n3 2\n4 4\n")
    (written.path / "leader-epoch-checkpoint").unlink()
    assert {finding.kind for finding in written.findings().defects} == {"leader epoch"}
    written.is_clean = False
    assert {finding.severity for finding in written.findings()} == {Severity.RECOVERY}


def test_a_batch_of_an_older_epoch_than_the_one_before(written: Written) -> None:
    flip(segments(written.path)[0], 3 * len(batch()) + EPOCH_FIELD, 2)
    finding = written.findings().defects[0]
    assert (finding.position, finding.offset) == (3 * len(batch()), 3)


def test_after_a_kill_the_log_start_offset_may_not_be_written_yet(written: Written) -> None:
    written.is_clean, written.recovery_point = False, 5
    assert checkpoint(written, "0\n2\n3 3\n4 4\n") == []


def test_epochs_before_the_log_start_offset_are_gone(written: Written) -> None:
    written.log_start_offset = 3
    assert checkpoint(written, "0\n2\n3 3\n4 4\n") == []
    assert checkpoint(written, "0\n3\n0 0\n3 2\n4 4\n") == [("leader-epoch-checkpoint", 4, -1)]


def test_no_flipped_digit_goes_unnoticed(written: Written) -> None:
    """The file has no checksum, and what still parses is believed at the start, by Kafka as by us."""
    text = (written.path / "leader-epoch-checkpoint").read_text()
    for position in [at for at, digit in enumerate(text) if digit.isdigit()]:
        for digit in "0123456789".replace(text[position], ""):
            flipped = text[:position] + digit + text[position + 1 :]
            assert checkpoint(written, flipped), flipped
