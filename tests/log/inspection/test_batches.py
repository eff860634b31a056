"""The walk over a segment's bytes: every batch, every byte that is none, and where good ones go on."""

from pathlib import Path

import pytest

from pykbroker.log.inspection import batches
from pykbroker.log.inspection.batches import BadBytes, ByteFile, scan
from tests.golden_data import golden_lines
from tests.log.inspection.checking import spans
from tests.log.logs import batch

SIZE = len(batch())
LENGTH_FIELD, MAGIC, DATA = 11, 16, 70


def log_of(count: int) -> bytearray:
    return bytearray().join(batch(base_offset=offset) for offset in range(count))


def walk(path: Path, data: bytes, base_offset: int = 0) -> list[tuple[str, int, int]]:
    path.write_bytes(data)
    with ByteFile(str(path)) as file:
        return spans(list(scan(file, base_offset)))


def test_good_batches(tmp_path: Path) -> None:
    expected = [("batch", index * SIZE, SIZE) for index in range(3)]
    assert walk(tmp_path / "0.log", log_of(3)) == expected


def test_batches_larger_than_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK", 100)
    data = log_of(2) + batch(base_offset=2, value=b"v" * 5000) + batch(base_offset=3)
    found = walk(tmp_path / "0.log", data)
    assert [kind for kind, _, _ in found] == ["batch"] * 4
    data[2 * SIZE + 3000] ^= 1
    assert [kind for kind, _, _ in walk(tmp_path / "0.log", data)] == ["batch", "batch", "checksum", "batch"]


@pytest.mark.parametrize(
    ("position", "kind"),
    [(DATA, "checksum"), (LENGTH_FIELD, "checksum"), (MAGIC, "framing"), (LENGTH_FIELD - 3, "framing")],
)
def test_goes_on_behind_a_damaged_batch(tmp_path: Path, position: int, kind: str) -> None:
    data = log_of(4)
    data[SIZE + position] ^= 0x80 if position < LENGTH_FIELD else 5
    expected = [("batch", 0, SIZE), (kind, SIZE, SIZE), ("batch", 2 * SIZE, SIZE), ("batch", 3 * SIZE, SIZE)]
    assert walk(tmp_path / "0.log", data) == expected


def test_goes_on_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK", 100)
    data = batch() + b"\2" * 777 + batch(base_offset=1)
    assert walk(tmp_path / "0.log", data) == [
        ("batch", 0, SIZE),
        ("torn", SIZE, 777),
        ("batch", SIZE + 777, SIZE),
    ]


@pytest.mark.parametrize(("kept", "kind"), [(SIZE - 1, "torn"), (61, "torn"), (12, "torn"), (1, "torn")])
def test_a_torn_tail(tmp_path: Path, kept: int, kind: str) -> None:
    data = log_of(2)[: SIZE + kept]
    assert walk(tmp_path / "0.log", data) == [("batch", 0, SIZE), (kind, SIZE, kept)]


def test_zeros_behind(tmp_path: Path) -> None:
    assert walk(tmp_path / "0.log", log_of(1) + bytes(4096)) == [("batch", 0, SIZE), ("zeros", SIZE, 4096)]


def test_offsets_ascend_from_the_base_offset(tmp_path: Path) -> None:
    data = batch(base_offset=5) + batch(base_offset=5) + batch(base_offset=6)
    assert [kind for kind, _, _ in walk(tmp_path / "0.log", data, 5)] == ["batch", "offsets", "batch"]
    assert [kind for kind, _, _ in walk(tmp_path / "0.log", data, 6)] == ["offsets", "batch"]


def test_damage_tells_which_offset_it_claims(tmp_path: Path) -> None:
    data = log_of(2)
    data[SIZE + DATA] ^= 1
    path = tmp_path / "0.log"
    path.write_bytes(data)
    with ByteFile(str(path)) as file:
        bad = list(scan(file, 0))[1]
    assert isinstance(bad, BadBytes)
    assert bad.offset == 1
    assert "checksum" in bad.message


def test_batches_of_the_real_kafka_of_all_magics(tmp_path: Path) -> None:
    seen = set()
    for line in golden_lines("records/batches.jsonl.gz"):
        base_offset = min(each["base_offset"] for each in line["batches"])
        found = walk(tmp_path / "0.log", bytes.fromhex(line["hex"]), base_offset)
        assert {kind for kind, _, _ in found} == {"batch"}, line["case"]
        seen.add(line["magic"])
    assert seen == {0, 1, 2}
