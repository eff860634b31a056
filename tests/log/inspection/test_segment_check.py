"""Every single flipped bit in a segment and its indexes is found, in whatever byte it lies."""

from pathlib import Path

import pytest

from tests.log.inspection.checking import flip
from tests.log.inspection.logs import Written, segments, write_transactions


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    written = Written(tmp_path_factory.mktemp("log"))
    with written.opened() as log:
        write_transactions(log)
    assert written.findings() == []
    return written


@pytest.mark.parametrize("suffix", [".log", ".index", ".timeindex", ".txnindex", ".snapshot"])
def test_flipped_bits(written: Written, suffix: str) -> None:
    path = segments(written.path, suffix)[1]
    size = path.stat().st_size
    step = max(1, size // 150)
    for position in range(0, size, step):
        bit = 1 << position % 8
        flip(path, position, bit)
        told = {finding.path for finding in written.findings().defects}
        flip(path, position, bit)
        assert str(path) in told, (position, bit)
    assert written.findings() == []


@pytest.mark.parametrize("suffix", [".log", ".index", ".timeindex", ".txnindex", ".snapshot"])
def test_truncations(written: Written, suffix: str) -> None:
    """An offset index that lost whole entries is one that is still right: it is sparse."""
    path = segments(written.path, suffix)[1]
    whole = path.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 50)):
        if suffix == ".index" and size % 8 == 0:
            continue
        path.write_bytes(whole[:size])
        told = {finding.path for finding in written.findings().defects}
        path.write_bytes(whole)
        assert str(path) in told or (suffix == ".log" and told), size


def test_each_finding_has_its_byte_and_offset(written: Written, tmp_path: Path) -> None:
    path = segments(written.path)[0]
    flip(path, 75)
    finding = written.findings().defects[0]
    flip(path, 75)
    assert (finding.kind, finding.path, finding.position, finding.offset) == ("checksum", str(path), 0, 0)
