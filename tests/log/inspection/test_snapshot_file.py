"""Producer snapshots: entries of a file that we wrote, and each way in which one is broken."""

from pathlib import Path

import pytest

from pykbroker.log.files import Files
from pykbroker.log.inspection.snapshot_file import SnapshotEntry, read_entries
from pykbroker.log.inspection.text_files import FlawedFile
from pykbroker.log.producer_entry import BatchMetadata, ProducerEntry
from pykbroker.log.producer_snapshot import write_snapshot


@pytest.fixture
def data(tmp_path: Path) -> bytearray:
    first = ProducerEntry(7, 2, -1, 1000, 30)
    first.batches.append(BatchMetadata(5, 31, 1, 1000))
    write_snapshot(Files(), str(tmp_path / "s"), [first, ProducerEntry(8, 0, 4, 2000)], sync=False)
    return bytearray((tmp_path / "s").read_bytes())


def test_entries(data: bytearray) -> None:
    assert read_entries(bytes(data)) == [
        SnapshotEntry(10, 7, 2, 5, 31, 1, 1000, -1, 30),
        SnapshotEntry(56, 8, 0, -1, -1, 0, 2000, 4, -1),
    ]


@pytest.mark.parametrize(("position", "told"), [(1, 0), (3, 2), (9, 6), (20, 2)])
def test_every_flipped_bit(data: bytearray, position: int, told: int) -> None:
    data[position] ^= 0x10
    with pytest.raises(FlawedFile) as caught:
        read_entries(bytes(data))
    assert caught.value.flaw.position == told


@pytest.mark.parametrize("size", [0, 9, 10, 55, 101])
def test_every_truncation(data: bytearray, size: int) -> None:
    with pytest.raises(FlawedFile):
        read_entries(bytes(data[:size]))
