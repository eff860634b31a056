"""What a history shows that Kafka promises not to do, in the spirit of Jepsen's kafka.clj; a pure function.

Left out: cycles of writes alone (Jepsen's G0), as Kafka lets transactions interleave; Jepsen allows them too, and with
them "send skips", two sends of a transaction between which others wrote.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from compat_tests.history.events import (
    Event,
    OffsetsCommitted,
    OffsetsFetched,
    Outcome,
    Partition,
    Polled,
    Positioned,
    ReadToEnd,
    Record,
    Refused,
    Sent,
    Transaction,
)


class Anomaly(NamedTuple):
    kind: str
    what: str


Found = Iterator[Anomaly]
Position = tuple[str, Partition]  # of a group


def anomalies(events: Sequence[Event]) -> list[Anomaly]:
    """All of them; an empty list is what every run must give."""
    facts = Facts(events)
    return [anomaly for check in CHECKS for anomaly in check(facts)]


class Facts:
    """The history by kind, and what follows from it."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.sent = [event for event in events if isinstance(event, Sent)]
        self.transactions = [event for event in events if isinstance(event, Transaction)]
        self.polled = [event for event in events if isinstance(event, Polled)]
        self.writer = {record.value: txn for txn in self.transactions for record in txn.sent}

    @cached_property
    def seen_committed(self) -> dict[str, Record]:
        """By value, what any read_committed consumer polled."""
        return {record.value: record for poll in self.polled if poll.read_committed for record in poll.records}

    @cached_property
    def seen(self) -> dict[str, Record]:
        return {record.value: record for poll in self.polled for record in poll.records}

    @cached_property
    def acknowledged(self) -> list[Record]:
        """What must be there: sends that were acknowledged, and all of committed transactions."""
        plain = [event.record for event in self.sent if event.outcome is Outcome.OK]
        return plain + [record for txn in self.transactions if self.is_committed(txn) for record in txn.sent]

    def is_committed(self, txn: Transaction) -> bool:
        """Of what nobody was told, read_committed consumers know."""
        if txn.outcome is Outcome.UNKNOWN:
            return any(record.value in self.seen_committed for record in txn.sent)
        return txn.outcome is Outcome.OK

    @cached_property
    def placed(self) -> list[Record]:
        """Every claim that a value has an offset: by an acknowledgement, or by a poll."""
        told = [record for record in self.acknowledged if record.offset is not None]
        told += [record for txn in self.transactions for record in txn.sent if record.offset is not None]
        return told + [record for poll in self.polled for record in poll.records]

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Of each value whose offset anybody knows."""
        return {record.value: record.offset for record in self.placed if record.offset is not None}

    def visible(self, read_committed: bool) -> dict[Partition, dict[int, str]]:
        """Offsets and values that a consumer must meet on its way."""
        records: Iterable[Record] = self.acknowledged
        records = [*records, *(self.seen_committed if read_committed else self.seen).values()]
        if not read_committed:
            records += [record for txn in self.transactions for record in txn.sent if record.value in self.offsets]
        found: dict[Partition, dict[int, str]] = defaultdict(dict)
        for record in records:
            offset = self.offsets.get(record.value)
            if offset is not None:
                found[record.partition][offset] = record.value
        return found

    @cached_property
    def read_to_end(self) -> set[Partition]:
        return {event.partition for event in self.events if isinstance(event, ReadToEnd) and event.read_committed}


# -- what the log holds


def two_values(facts: Facts) -> Found:
    """An offset holds one value, whoever says so."""
    values: dict[tuple[Partition, int | None], set[str]] = defaultdict(set)
    for record in facts.placed:
        values[record.partition, record.offset].add(record.value)
    for (partition, offset), several in values.items():
        if len(several) > 1:
            yield Anomaly("two values", f"{partition} offset {offset}: {sorted(several)}")


def duplicates(facts: Facts) -> Found:
    """A value is at one offset: retries write nothing twice."""
    places: dict[str, set[tuple[Partition, int | None]]] = defaultdict(set)
    for record in facts.placed:
        places[record.value].add((record.partition, record.offset))
    for value, several in places.items():
        if len(several) > 1:
            yield Anomaly("duplicate", f"{value} at {sorted(several, key=str)}")


def lost_writes(facts: Facts) -> Found:
    """Acknowledged, consumers were behind it, and none of them polled it."""
    highest: dict[Partition, int] = {}
    for record in facts.seen_committed.values():
        highest[record.partition] = max(highest.get(record.partition, -1), record.offset or 0)
    for record in facts.acknowledged:
        passed = record.offset is not None and record.offset <= highest.get(record.partition, -1)
        if (passed or record.partition in facts.read_to_end) and record.value not in facts.seen_committed:
            yield Anomaly("lost write", f"{record}")


# -- transactions


def aborted_reads(facts: Facts) -> Found:
    """G1a: read_committed saw what was aborted, or was never asked to commit."""
    for poll in facts.polled:
        for record in poll.records if poll.read_committed else ():
            txn = facts.writer.get(record.value)
            if txn is not None and txn.outcome is Outcome.FAILED:
                yield Anomaly("aborted read", f"{poll.process} read {record}")


def precommitted_reads(facts: Facts) -> Found:
    """read_committed saw it before anybody had asked to commit it."""
    for poll in facts.polled:
        for record in poll.records if poll.read_committed else ():
            txn = facts.writer.get(record.value)
            if txn is not None and txn.ending is not None and poll.completed < txn.ending:
                yield Anomaly("precommitted read", f"{poll.process} read {record} at {poll.completed} < {txn.ending}")


def torn_transactions(facts: Facts) -> Found:
    """Of a transaction all is read or nothing, whatever its producer was told."""
    for txn in facts.transactions:
        records = [record for record in txn.sent if record.partition in facts.read_to_end]
        found = [record.value in facts.seen_committed for record in records]
        if any(found) and not all(found):
            missing = [record for record, is_there in zip(records, found, strict=True) if not is_there]
            yield Anomaly("torn transaction", f"{txn.process}: {missing} of {len(records)}")


def read_cycles(facts: Facts) -> Found:
    """G1c: transactions that read from each other."""
    reads = {
        id(txn): {id(facts.writer[record.value]) for record in txn.polled if record.value in facts.writer}
        for txn in facts.transactions
        if facts.is_committed(txn)
    }
    by_id = {id(txn): txn for txn in facts.transactions}
    while free := [key for key, sources in reads.items() if not sources & reads.keys()]:
        for key in free:
            del reads[key]
    if reads:
        yield Anomaly("read cycle", f"{[by_id[key] for key in reads]}")


# -- order


def writes_out_of_order(facts: Facts) -> Found:
    """What was acknowledged before something else was sent lies before it; so does what one process sent before."""
    spans = [(event.invoked, event.completed, [event.record]) for event in facts.sent if event.outcome is Outcome.OK]
    spans += [(txn.invoked, txn.completed, list(txn.sent)) for txn in facts.transactions if txn.outcome is Outcome.OK]
    writes: dict[Partition, list[tuple[int, int, int, str]]] = defaultdict(list)
    for invoked, completed, records in spans:
        for record in records:
            if (offset := facts.offsets.get(record.value)) is not None:
                writes[record.partition].append((offset, invoked, completed, record.value))
    for partition, rows in writes.items():
        rows.sort()
        latest = (-1, "")
        for _, invoked, completed, value in rows:
            # Somebody before it in the log was sent after this one was acknowledged.
            if latest[0] > completed:
                yield Anomaly("writes out of order", f"{partition}: {latest[1]} lies before {value}")
            latest = max(latest, (invoked, value))


def nonmonotonic_sends(facts: Facts) -> Found:
    """The sends of one process, acknowledged or not, and those of one transaction, lie in their order."""
    sends: dict[tuple[str, Partition], list[tuple[int, int, str]]] = defaultdict(list)
    for event in facts.sent:
        sends[event.process, event.record.partition].append((event.invoked, 0, event.record.value))
    for txn in facts.transactions:
        for number, record in enumerate(txn.sent):
            sends[txn.process, record.partition].append((txn.invoked, number, record.value))
    for (process, partition), rows in sends.items():
        last = -1
        for _, _, value in sorted(rows):
            offset = facts.offsets.get(value)
            if offset is None:
                continue
            if offset < last:
                yield Anomaly("nonmonotonic send", f"{process}: {value} at {partition} offset {offset} after {last}")
            last = offset


# -- consumers


def polls_in_order(facts: Facts) -> Found:
    """From where it was put on, a consumer meets everything that it may see, once and in order."""
    visible = {level: facts.visible(level) for level in (False, True)}
    positions: dict[str, dict[Partition, int | None]] = {}
    for event in facts.events:
        if isinstance(event, Positioned):
            positions[event.process] = dict(event.offsets)
        elif isinstance(event, Polled):
            mine = positions.setdefault(event.process, {})
            for record in event.records:
                yield from _follow(event, record, mine, visible[event.read_committed])


def _follow(
    poll: Polled, record: Record, positions: dict[Partition, int | None], visible: dict[Partition, dict[int, str]]
) -> Found:
    partition, offset = record.partition, record.offset
    assert offset is not None
    if partition not in positions:
        if positions:  # it was put somewhere else
            yield Anomaly("poll outside of the assignment", f"{poll.process} read {record}")
        positions[partition] = None
    expected = positions[partition]
    if expected is not None:
        if offset < expected:
            yield Anomaly("nonmonotonic poll", f"{poll.process} read {record} after {expected - 1}")
        known = visible.get(partition, {})
        if skipped := [at for at in range(expected, offset) if at in known]:
            yield Anomaly("poll skip", f"{poll.process} went from {expected} to {offset} past {skipped}")
    positions[partition] = offset + 1


# -- groups


def offsets_going_back(facts: Facts) -> Found:
    """Of what was acknowledged before, neither a fetch nor the next commit knows less."""
    promised: list[tuple[int, Position, int]] = []
    later: list[tuple[int, Position, int]] = []
    for event in facts.events:
        if isinstance(event, (OffsetsCommitted, Transaction)) and event.group and event.outcome is Outcome.OK:
            promised += [(event.completed, (event.group, p), offset) for p, offset in event.offsets.items()]
            later += [(event.invoked, (event.group, p), offset) for p, offset in event.offsets.items()]
        elif isinstance(event, OffsetsFetched):
            later += [(event.invoked, (event.group, p), offset) for p, offset in event.offsets.items()]
    waiting = deque(sorted(promised))
    best: dict[Position, int] = {}
    for invoked, position, offset in sorted(later):
        while waiting and waiting[0][0] < invoked:
            _, earlier, value = waiting.popleft()
            best[earlier] = max(value, best.get(earlier, -1))
        if offset < best.get(position, -1):
            yield Anomaly("offset going back", f"{position}: {offset} at {invoked}, after {best[position]}")


def group_skips(facts: Facts) -> Found:
    """What lies before a group's committed offset was polled by a member, or is part of a committed transaction."""
    met: dict[str, set[str]] = defaultdict(set)
    ends: dict[Position, int] = {}
    transactional = {txn.group for txn in facts.transactions}
    for poll in facts.polled:
        if poll.group not in transactional:
            met[poll.group].update(record.value for record in poll.records)
    for event in facts.events:
        if isinstance(event, Transaction) and facts.is_committed(event):
            met[event.group].update(record.value for record in event.polled)
        elif not isinstance(event, OffsetsCommitted) or event.outcome is Outcome.FAILED:
            continue
        for partition, offset in event.offsets.items():
            ends[event.group, partition] = max(offset, ends.get((event.group, partition), 0))
    visible = facts.visible(read_committed=True)
    for (group, partition), end in ends.items():
        rows = visible[partition].items()
        if gone := sorted(offset for offset, value in rows if offset < end and value not in met[group]):
            yield Anomaly("group skip", f"{group} has committed {end} of {partition} without {gone}")


def processed_twice(facts: Facts) -> Found:
    """Exactly once: a record is part of one committed transaction of a group."""
    owners: dict[tuple[str, str], int] = defaultdict(int)
    for txn in facts.transactions:
        if txn.group and facts.is_committed(txn):
            for record in txn.polled:
                owners[txn.group, record.value] += 1
    for (group, value), times in owners.items():
        if times > 1:
            yield Anomaly("processed twice", f"{group}: {value} {times} times")


def refusals(facts: Facts) -> Found:
    for event in facts.events:
        if isinstance(event, Refused):
            yield Anomaly("refused", f"{event.process}: {event.what}")


CHECKS: Sequence[Callable[[Facts], Found]] = (
    two_values,
    duplicates,
    lost_writes,
    aborted_reads,
    precommitted_reads,
    torn_transactions,
    read_cycles,
    writes_out_of_order,
    nonmonotonic_sends,
    polls_in_order,
    offsets_going_back,
    group_skips,
    processed_twice,
    refusals,
)
