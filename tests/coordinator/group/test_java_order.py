"""The values are those of Java: String.hashCode, Kafka's Uuid.hashCode, the record TopicIdPartition, HashMap."""

from pykbroker.coordinator.group.java_order import (
    grown_table,
    int_hash,
    java_order,
    partition_hash,
    sized_table,
    string_hash,
    uuid_hash,
)
from pykbroker.ids import Uuid


def test_hashes() -> None:
    assert string_hash("") == 0
    assert string_hash("hello") == 99162322
    assert string_hash("polygenelubricants") == 1 << 31  # Integer.MIN_VALUE
    assert string_hash("\U0001f600") == 0xD83D * 31 + 0xDE00
    assert uuid_hash(Uuid(b"\0" * 7 + b"\1" + b"\0" * 3 + b"\2" + b"\0" * 3 + b"\4")) == 7
    assert partition_hash((Uuid(b"\0" * 15 + b"\1"), 5)) == 36
    assert int_hash(-1) == 0xFFFFFFFF


def test_tables() -> None:
    assert [grown_table(held) for held in (0, 12, 13, 24, 25)] == [16, 16, 32, 32, 64]
    # new HashMap<>((int) (((n + 1) / 0.75f) + 1)) for n of 2, 5, 29
    assert [sized_table(n, n) for n in (2, 5, 29)] == [8, 16, 64]


def test_order() -> None:
    names = [
        "m337589",
        "member-97516",
        "member-920402",
        "m334558",
        "member-71471",
        "member-626103",
        "m788693",
        "member-97205",
    ]
    assert java_order(names, string_hash, grown_table(len(names))) == (
        [
            "member-97516",
            "m334558",
            "member-920402",
            "member-626103",
            "m788693",
            "m337589",
            "member-71471",
            "member-97205",
        ]
    )
    assert java_order([17, 1, 16, 0], int_hash, 16) == [16, 0, 17, 1]
