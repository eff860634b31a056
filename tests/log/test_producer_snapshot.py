"""Snapshots of producers: the bytes, and what is refused. (Kafka's own are read by test_golden_directories)"""

import errno
from pathlib import Path

import pytest
from crc32c import crc32c

from pykbroker.log.files import Files
from pykbroker.log.producer_entry import BatchMetadata, ProducerEntry
from pykbroker.log.producer_snapshot import CorruptSnapshot, read_snapshot, snapshot_offsets, write_snapshot
from tests.log.logs import FailingFiles


def entries() -> list[ProducerEntry]:
    with_batches = ProducerEntry(5, 2, 9, last_timestamp=1000, first_offset=40)
    with_batches.batches = [BatchMetadata(3, 41, 1, 900), BatchMetadata(7, 45, 3, 1000)]
    return [with_batches, ProducerEntry(6, 0, 1, last_timestamp=77)]


def write(path: Path) -> str:
    write_snapshot(Files(), str(path / "x.snapshot"), entries(), sync=False)
    return str(path / "x.snapshot")


def test_the_bytes_are_kafkas(tmp_path: Path) -> None:
    data = Path(write(tmp_path)).read_bytes()
    fields = [
        "0000000000000005 0002 00000007 000000000000002d 00000003 00000000000003e8 00000009 0000000000000028",
        "0000000000000006 0000 ffffffff ffffffffffffffff 00000000 000000000000004d 00000001 ffffffffffffffff",
    ]
    body = bytes.fromhex("00000002" + "".join(fields).replace(" ", ""))
    assert data == b"\0\1" + crc32c(body).to_bytes(4, "big") + body


def test_the_last_batch_of_each_is_read_again(tmp_path: Path) -> None:
    first, second = read_snapshot(Files(), write(tmp_path))
    assert (first.producer_id, first.epoch, first.coordinator_epoch, first.first_offset) == (5, 2, 9, 40)
    assert first.batches == [BatchMetadata(7, 45, 3, 1000)]
    assert (second.batches, second.last_timestamp, second.last_sequence) == ([], 77, -1)


def test_nobody(tmp_path: Path) -> None:
    write_snapshot(Files(), f"{tmp_path}/x", [], sync=True)
    assert (tmp_path / "x").read_bytes() == b"\0\1" + crc32c(bytes(4)).to_bytes(4, "big") + bytes(4)
    assert read_snapshot(Files(), f"{tmp_path}/x") == []


def test_a_longer_file_of_a_crash_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.snapshot").write_bytes(bytes(5000))
    assert len(read_snapshot(Files(), write(tmp_path))) == 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:9], "too few"),
        (lambda data: b"", "too few"),
        (lambda data: data[:-1], "do not fit"),
        (lambda data: data + b"\0", "do not fit"),
        (lambda data: b"\0\2" + data[2:], "unknown version 2"),
        (lambda data: data[:-1] + b"\0", "wrong checksum"),
        (lambda data: data[:6] + b"\x7f" + data[7:], "do not fit"),
    ],
)
def test_damage_is_told(damage: "object", message: str, tmp_path: Path) -> None:
    path = Path(write(tmp_path))
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(CorruptSnapshot, match=message):
        read_snapshot(Files(), str(path))


def test_only_names_of_snapshots_count(tmp_path: Path) -> None:
    for name in (
        f"{7:020d}.snapshot",
        f"{30:020d}.snapshot",
        "7.snapshot",
        f"{9:020d}.snapshot.deleted",
        f"{9:020d}.log",
    ):
        (tmp_path / name).touch()
    assert snapshot_offsets(str(tmp_path)) == [7, 30]


def test_a_full_disk_is_an_os_error(tmp_path: Path) -> None:
    files = FailingFiles()
    files.failing["fsync"] = errno.ENOSPC
    with pytest.raises(OSError, match="No space left"):
        write_snapshot(files, f"{tmp_path}/x", entries(), sync=True)
