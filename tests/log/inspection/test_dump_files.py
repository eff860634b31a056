"""Rows of files that are read whole. What the real Kafka's hold is compared in tests/raft/inspection/test_dump.py."""

import pytest

from pykbroker.log.inspection.dump_files import dump_file
from pykbroker.log.inspection.kinds import Kind
from pykbroker.log.inspection.row import DumpOptions, Row
from tests.log.inspection.test_index_files import aborted, offsets, times


def dump(kind: Kind, data: bytes, base_offset: int = 0, options: DumpOptions | None = None) -> list[Row]:
    return list(dump_file(kind, data, base_offset, options or DumpOptions()))


def test_indexes() -> None:
    assert dump(Kind.OFFSET_INDEX, offsets((3, 100)) + bytes(80), 50) == [
        {"row": "entry", "offset": 53, "position": 100},
        {"row": "preallocated", "position": 8, "size": 80},
    ]
    assert dump(Kind.TIME_INDEX, times((9, 1)), 50) == [{"row": "entry", "timestamp": 9, "offset": 51}]
    row = {"row": "entry", "producer_id": 7, "first_offset": 1, "last_offset": 5, "last_stable_offset": 6}
    assert dump(Kind.TRANSACTION_INDEX, aborted((0, 7, 1, 5, 6))) == [row]


def test_from_an_offset_and_so_many() -> None:
    data = offsets((3, 100), (5, 200), (7, 300), (9, 400))
    assert [row["offset"] for row in dump(Kind.OFFSET_INDEX, data, 0, DumpOptions(offset=5, maximum=2))] == [5, 7]


@pytest.mark.parametrize(
    ("kind", "data", "position"),
    [
        (Kind.OFFSET_INDEX, offsets((3, 100), (3, 200)), 8),
        (Kind.TIME_INDEX, b"\1", 0),
        (Kind.TRANSACTION_INDEX, b"\1", 0),
        (Kind.PRODUCER_SNAPSHOT, b"", 0),
        (Kind.LEADER_EPOCHS, b"0\n1\n0 x\n", 4),
        (Kind.LEADER_EPOCHS, b"0\n2\n1 0\n0 1\n", 8),
        (Kind.OFFSET_CHECKPOINT, b"0\n1\n", 2),
        (Kind.PARTITION_METADATA, b"", 0),
        (Kind.META_PROPERTIES, b"\n", 1),
        (Kind.CLEAN_SHUTDOWN, b"{", 1),
    ],
)
def test_damage_is_the_last_row(kind: Kind, data: bytes, position: int) -> None:
    last = dump(kind, data)[-1]
    assert (last["row"], last["position"]) == ("damage", position)
    assert last["message"]
