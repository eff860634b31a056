"""Every anomaly is found in a history made to have it, and nothing is found in one that is in order."""

from typing import Any

import pytest

from compat_tests.history.checker import CHECKS, Facts, anomalies
from compat_tests.history.events import (
    Event,
    OffsetsCommitted,
    OffsetsFetched,
    Outcome,
    Polled,
    Positioned,
    ReadToEnd,
    Record,
    Refused,
    Sent,
    Transaction,
)

P, Q = ("t", 0), ("t", 1)
OK, FAILED, UNKNOWN = Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN


def sent(time: int, value: str, offset: int | None, outcome: Outcome = OK, process: str = "p") -> Sent:
    return Sent(process, time, time + 1, Record(P, value, offset), outcome)


def polled(time: int, *rows: tuple[int, str], process: str = "c", partition: Any = P, **fields: Any) -> Polled:
    records = tuple(Record(partition, value, offset) for offset, value in rows)
    return Polled(process, time, time + 1, records, **fields)


def txn(time: int, outcome: Outcome, *rows: tuple[int | None, str], partition: Any = P, **fields: Any) -> Transaction:
    """It lasts for ten, and asks to end after eight."""
    records = tuple(Record(partition, value, offset) for offset, value in rows)
    ending = time + 8 if outcome is not FAILED else None
    return Transaction(**{"process": "x", "ending": ending, **fields}, invoked=time, completed=time + 10,
                       sent=records, outcome=outcome)  # fmt: skip


def committed(time: int, offset: int, outcome: Outcome = OK) -> OffsetsCommitted:
    return OffsetsCommitted("m", time, time + 1, "g", {P: offset}, outcome)


TO_END = ReadToEnd("c", P, True)
HEALTHY: list[Event] = [
    sent(1, "a", 0),
    sent(2, "b", 1, process="other"),
    sent(3, "lost on the way", None, UNKNOWN),
    txn(10, OK, (2, "c"), (3, "d")),  # and its marker at 4
    txn(30, FAILED, (5, "e")),
    txn(50, UNKNOWN, (7, "f"), process="y"),
    Positioned("c", 60, {P: 0}),
    polled(61, (0, "a"), (1, "b")),
    polled(63, (2, "c"), (3, "d"), (7, "f")),
    TO_END,
    Positioned("dirty", 65, {P: 2}),
    polled(66, (2, "c"), (3, "d"), (5, "e"), (7, "f"), process="dirty", read_committed=False),
    polled(70, (0, "a"), (1, "b"), process="m", group="g"),
    committed(72, 2),
    committed(74, 2),
    OffsetsFetched("m", 76, 77, "g", {P: 2}),
    txn(80, OK, (9, "<a>"), group="pipe", offsets={P: 1}, polled=(Record(P, "a", 0),), process="z"),
    txn(100, FAILED, (11, "<b>"), group="pipe", offsets={P: 2}, polled=(Record(P, "b", 1),), process="z"),
    txn(120, OK, (13, "<b> again"), group="pipe", offsets={P: 2}, polled=(Record(P, "b", 1),), process="z"),
    polled(140, (9, "<a>"), (13, "<b> again")),
]

BAD: dict[str, list[Event]] = {
    "two values": [sent(1, "a", 0), polled(5, (0, "b"))],
    "two values of two producers": [sent(1, "a", 0), sent(2, "b", 0, process="other")],
    "duplicate": [sent(1, "a", 0), polled(5, (0, "a"), (1, "a"))],
    "duplicate of an unknown one": [sent(1, "a", None, UNKNOWN), polled(5, (0, "a"), (1, "a"))],
    "lost write": [sent(1, "a", 0), sent(3, "b", 1), polled(5, (1, "b"))],
    "lost write at the end": [sent(1, "a", 0), TO_END],
    "lost write of a transaction": [txn(1, OK, (0, "a")), TO_END],
    "lost write without its offset": [sent(1, "a", None), TO_END],
    "aborted read": [txn(1, FAILED, (0, "a")), polled(20, (0, "a"))],
    "precommitted read": [polled(5, (0, "a")), txn(1, OK, (0, "a"))],
    "torn transaction": [txn(1, UNKNOWN, (0, "a"), (1, "b")), polled(20, (0, "a")), TO_END],
    "read cycle": [
        txn(1, OK, (0, "a"), polled=(Record(P, "b", 1),)),
        txn(1, OK, (1, "b"), polled=(Record(P, "a", 0),), process="y"),
    ],
    "writes out of order": [sent(1, "a", 1), sent(5, "b", 0, process="other")],
    "writes out of order of transactions": [txn(1, OK, (3, "a")), txn(20, OK, (1, "b"), process="y")],
    "nonmonotonic send": [sent(1, "a", None, UNKNOWN), sent(5, "b", 0), polled(9, (0, "b"), (1, "a"))],
    "nonmonotonic send in a transaction": [txn(1, OK, (1, "a"), (0, "b"))],
    "nonmonotonic send of two transactions": [txn(1, FAILED, (3, "a")), txn(20, OK, (1, "b"))],
    "nonmonotonic poll": [sent(1, "a", 0), sent(3, "b", 1), polled(5, (0, "a"), (1, "b")), polled(7, (0, "a"))],
    "nonmonotonic poll from where it was put": [sent(1, "a", 0), Positioned("c", 4, {P: 1}), polled(5, (0, "a"))],
    "poll skip": [sent(1, "a", 0), sent(3, "b", 1), sent(5, "c", 2), polled(7, (0, "a"), (2, "c"))],
    "poll skip at the start": [sent(1, "a", 0), sent(3, "b", 1), Positioned("c", 5, {P: 0}), polled(7, (1, "b"))],
    "poll skip of what others read": [
        txn(1, UNKNOWN, (1, "b")),
        polled(20, (0, "a"), (1, "b"), (3, "c"), process="other"),
        polled(22, (0, "a"), (3, "c")),
    ],
    "poll skip of read_uncommitted": [
        txn(1, FAILED, (1, "b")),
        polled(20, (0, "a"), (2, "c"), read_committed=False),
    ],
    "poll outside of the assignment": [Positioned("c", 1, {Q: 0}), polled(5, (0, "a"))],
    "offset going back": [polled(1, (0, "a"), group="g"), committed(5, 3), OffsetsFetched("m", 8, 9, "g", {P: 2})],
    "offset going back to nothing": [committed(5, 3), OffsetsFetched("m", 8, 9, "g", {P: -1001})],
    "offset going back by a commit": [committed(5, 3), committed(8, 2)],
    "offset going back after a transaction": [
        txn(1, OK, group="g", offsets={P: 3}),
        OffsetsFetched("m", 20, 21, "g", {P: 0}),
    ],
    "group skip": [sent(1, "a", 0), sent(3, "b", 1), polled(5, (1, "b"), group="g", process="m"), committed(8, 2),
                   polled(9, (0, "a"), (1, "b"))],
    "group skip of a pipeline": [
        sent(1, "a", 0),
        sent(3, "b", 1),
        polled(5, (0, "a"), (1, "b")),
        txn(9, OK, (3, "<b>"), group="g", offsets={P: 2}, polled=(Record(P, "b", 1),)),
    ],
    "processed twice": [
        txn(1, OK, (1, "<a>"), group="g", offsets={P: 1}, polled=(Record(P, "a", 0),)),
        txn(20, OK, (3, "<a> again"), group="g", offsets={P: 1}, polled=(Record(P, "a", 0),), process="y"),
    ],
    "processed twice, as readers know": [
        txn(1, UNKNOWN, (1, "<a>"), group="g", offsets={P: 1}, polled=(Record(P, "a", 0),)),
        txn(20, OK, (3, "<a> again"), group="g", offsets={P: 1}, polled=(Record(P, "a", 0),), process="y"),
        polled(40, (1, "<a>"), (3, "<a> again")),
    ],
    "refused": [Refused("c", "OFFSET_OUT_OF_RANGE")],
}  # fmt: skip


def test_nothing_is_wrong_with_a_healthy_history() -> None:
    assert anomalies(HEALTHY) == []


@pytest.mark.parametrize("name", BAD)
def test_it_is_found(name: str) -> None:
    kind = max((kind for kind in KINDS if name.startswith(kind)), key=len)
    assert kind in {anomaly.kind for anomaly in anomalies(BAD[name])}


def test_nothing_else_is_found() -> None:
    """A bad history shows what it was made for; a few show what follows from it as well."""
    also = {
        "two values": {"lost write"},
        "torn transaction": {"lost write"},
        "lost write": {"poll skip"},
        "poll skip": {"lost write"},
        "nonmonotonic poll": {"duplicate"},
        "read cycle": {"precommitted read"},
        "offset going back": {"group skip"},
        "group skip": {"lost write"},
        "processed twice": {"lost write"},
        "duplicate": {"nonmonotonic poll"},
        "nonmonotonic send": {"writes out of order"},
        "writes out of order": {"nonmonotonic send"},
    }
    for name, events in BAD.items():
        kind = max((kind for kind in KINDS if name.startswith(kind)), key=len)
        assert {anomaly.kind for anomaly in anomalies(events)} <= {kind} | also.get(kind, set()), name


def test_every_check_has_its_bad_history() -> None:
    """Each finds something in one of them."""
    for check in CHECKS:
        assert any(list(check(Facts(events))) for events in BAD.values()), check.__name__


KINDS = {
    "two values",
    "duplicate",
    "lost write",
    "aborted read",
    "precommitted read",
    "torn transaction",
    "read cycle",
    "writes out of order",
    "nonmonotonic send",
    "nonmonotonic poll",
    "poll skip",
    "poll outside of the assignment",
    "offset going back",
    "group skip",
    "processed twice",
    "refused",
}
