"""Rows of segments: batches, records, damage, and which of them are asked for."""

import struct
import zlib
from pathlib import Path

import pytest

from pykbroker.log.inspection.dump_batches import dump_batches
from pykbroker.log.inspection.row import DumpOptions, Row
from tests.golden_data import golden_lines
from tests.log.inspection.checking import flip
from tests.log.logs import NOW, batch

SIZE = len(batch([NOW, NOW]))


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """Three batches of two records from offset 10."""
    path = tmp_path / "s.log"
    path.write_bytes(b"".join(batch([NOW, NOW], base_offset=offset) for offset in (10, 12, 14)))
    return path


def dump(path: Path, decoded: str = "", base_offset: int = 10, **options: int | bool | None) -> list[Row]:
    return list(dump_batches(str(path), base_offset, decoded, DumpOptions(**options)))  # type: ignore[arg-type]


def test_batches(segment: Path) -> None:
    rows = dump(segment)
    assert [(row["row"], row["position"], row["base_offset"], row["last_offset"]) for row in rows] == [
        ("batch", 0, 10, 11),
        ("batch", SIZE, 12, 13),
        ("batch", 2 * SIZE, 14, 15),
    ]
    assert "producer_id" not in rows[0]


def test_records_when_asked_for_or_decoded(segment: Path) -> None:
    assert [row["offset"] for row in dump(segment, records=True) if row["row"] == "record"] == [10, 11, 12, 13, 14, 15]
    assert [row["row"] for row in dump(segment, "group", maximum=1)] == ["batch", "damage"]  # plain ones are no group's
    assert [row["row"] for row in dump(segment, "group", records=False)] == ["batch"] * 3


def test_from_an_offset_and_so_many(segment: Path) -> None:
    rows = dump(segment, offset=13, maximum=1, records=True)
    assert [(row["row"], row.get("offset")) for row in rows] == [("batch", None), ("record", 13)]


def test_damage_is_a_row_and_the_rest_follows(segment: Path) -> None:
    flip(segment, SIZE + 70)
    rows = dump(segment)
    assert [row["row"] for row in rows] == ["batch", "damage", "batch"]
    assert (rows[1]["position"], rows[1]["length"]) == (SIZE, SIZE)


def test_an_old_message_that_overruns_itself(tmp_path: Path) -> None:
    """With the right checksum."""
    body = b"\1\0" + bytes(8) + struct.pack(">ii", -1, 99) + b"v"
    path = tmp_path / "s.log"
    path.write_bytes(struct.pack(">qiI", 10, 4 + len(body), zlib.crc32(body)) + body)
    assert [(row["row"], row["position"]) for row in dump(path)] == [("damage", 0)]


def test_batches_of_the_real_kafka_of_all_magics_and_codecs(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    for line in golden_lines("records/batches.jsonl.gz"):
        path.write_bytes(bytes.fromhex(line["hex"]))
        base_offset = min(each["base_offset"] for each in line["batches"])
        rows = dump(path, base_offset=base_offset, records=True)
        batches = [row for row in rows if row["row"] == "batch"]
        assert [(row["last_offset"], row["magic"]) for row in batches] == [
            (each["last_offset"], each["magic"]) for each in line["batches"]
        ], line["case"]
        offsets = [record["offset"] for each in line["batches"] for record in each.get("records", ())]
        shown = [row for row in rows if row["row"] == "record"]
        assert [row["offset"] for row in shown] == offsets, line["case"]
