"""Voters on the command line. The record's bytes are those of kafka-storage 4.3.1."""

import pytest

from pykbroker.ids import Uuid
from pykbroker.raft.dynamic_voters import DynamicVoter, InvalidVoters, parse, voters_record

ONE, TWO = "JEXY6aqzQY-32P5TStzaFg", "MvDxzVmcRsaTz33bUuRU6A"


def test_voters_come_by_id() -> None:
    assert parse(f"5@[::1]:8083:{TWO}, 3@h1:19093:{ONE},") == [
        DynamicVoter(3, "h1", 19093, Uuid.parse(ONE)),
        DynamicVoter(5, "0:0:0:0:0:0:0:1", 8083, Uuid.parse(TWO)),
    ]
    assert parse(f"1@10.0.0.1:0:{ONE}")[0].host == "10.0.0.1"
    assert parse(f"1@[fe80::1%eth0]:1:{ONE}")[0].host == "fe80::1%eth0"


@pytest.mark.parametrize(
    "text",
    [
        f"localhost:1:{ONE}", f"@h:1:{ONE}", f"x@h:1:{ONE}", f"-1@h:1:{ONE}", f"1@:1:{ONE}", f"1@h:{ONE}", "1@h:1",
        f"1@h:65536:{ONE}", f"1@h:x:{ONE}", f"1@[::1:1:{ONE}", f"9999999999@h:1:{ONE}",
    ],
)  # fmt: skip
def test_what_is_no_voter_is_told_how_one_is_written(text: str) -> None:
    with pytest.raises(InvalidVoters, match="is no voter: write ID@HOST:PORT:DIRECTORY_ID"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1@h:1:short", "'short' is not a Kafka uuid"),
        ("", "no voter is named"),
        (",", "no voter is named"),
        (f"1@h:1:{ONE},1@g:2:{TWO}", "node 1 is named twice"),
    ],
)
def test_other_mistakes(text: str, message: str) -> None:
    with pytest.raises(InvalidVoters, match=message):
        parse(text)


def test_the_record_is_kafkas() -> None:
    record = voters_record(parse(f"3@localhost:19093:{ONE}"), "CONTROLLER")
    assert bytes(record.encode(0)).hex() == (
        "0000" "02" "00000003" + Uuid.parse(ONE).hex() + "02" "0b" + b"CONTROLLER".hex()
        + "0a" + b"localhost".hex() + "4a95" "00" "0000" "0001" "00" "00" "00"
    )  # fmt: skip
