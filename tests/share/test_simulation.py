"""Members that take, acknowledge, release, renew, stall and leave; writes that fail; brokers that restart; logs cut at
their start: each operation at random on a share partition and on a plain model of it, and after each one all states
must be equal, no record acknowledged twice, none with two members, none lost.
"""

from bisect import bisect_right
from random import Random

import pytest

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicIdPartition, Uuid
from pykbroker.share.acknowledge import Acknowledgement, acknowledge, release_acquired, release_expired
from pykbroker.share.acquire import Wish, acquire
from pykbroker.share.fetched_records import Batch, FetchedRecords
from pykbroker.share.in_flight import RecordState
from pykbroker.share.share_partition import Limits, SharePartition, SharePartitionKey, StateRow, StateUpdate
from pykbroker.share.start_offset import move_to_log_start
from tests.coordinator.simulation import seeds
from tests.share.model import ACQUIRED, Model, ModelRecord

KEY = SharePartitionKey("group", TopicIdPartition(Uuid(b"the id of topic"[:15] + b"t"), "topic", 0))
MEMBERS = ("ann", "bob", "eve")
STEPS = 120


class Stored:
    """What the persister knows, row by row in the order of writing."""

    def __init__(self) -> None:
        self.states: dict[int, tuple[int, int]] = {}
        self.start_offset = 0

    def write(self, partition: SharePartition, rows: list[StateRow]) -> None:
        for row in rows:
            for offset in range(row.first_offset, row.last_offset + 1):
                self.states[offset] = (int(row.delivery_state), row.delivery_count)
        self.start_offset = max(self.start_offset, partition.start_offset)

    def batches(self) -> list[StateRow]:
        return [
            StateRow(offset, offset, RecordState(state), count)
            for offset, (state, count) in sorted(self.states.items())
            if offset >= self.start_offset
        ]


class Run:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 1000.0
        self.limits = Limits(30.0, self.random.choice([2, 3, 5, 6]), self.random.choice([20, 100]), True)
        self.model = Model(self.limits.delivery_count, self.limits.lock_duration)
        self.partition = self.new_partition()
        self.partition.initialize(0, 0, [])
        self.stored = Stored()
        self.bases: list[int] = []
        self.pending: list[tuple[StateUpdate, list[int]]] = []
        self.mode = self.random.choice([0, 1, 2])

    def new_partition(self) -> SharePartition:
        return SharePartition(KEY, 0, lambda: self.limits)

    @property
    def log_end(self) -> int:
        return len(self.model.records)

    # -- what happens

    def produce(self) -> None:
        size = self.random.choice([1, 1, 3, 10, 25])
        self.bases.append(self.log_end)
        self.model.records += [ModelRecord() for _ in range(size)]

    def read(self, offset: int) -> FetchedRecords:
        """From the batch that holds `offset`, a random number of them."""
        if offset >= self.log_end:
            return FetchedRecords(b"", [])
        first = bisect_right(self.bases, offset) - 1
        ends = [*self.bases[1:], self.log_end]
        count = self.random.choice([1, 2, 100])
        return FetchedRecords(
            b"",
            [Batch(self.bases[i], ends[i] - 1, 0, 0, None) for i in range(first, min(first + count, len(self.bases)))],
        )

    def take(self) -> None:
        offset = self.partition.next_fetch_offset()
        if offset < self.model.log_start:
            move_to_log_start(self.partition, self.model.log_start)
            self.model.hear_of_log_start()
            offset = self.partition.next_fetch_offset()
        if not self.partition.can_acquire():
            return
        member = self.random.choice(MEMBERS)
        limited = self.mode == 1 or (self.mode == 2 and self.random.random() < 0.5)
        wish = Wish(member, self.random.choice([1, 2, 7, 50]), self.random.choice([0, 1, 10]), limited, offset)
        self.taken(wish, self.read(offset))

    def taken(self, wish: Wish, fetched: FetchedRecords) -> None:
        rows, count = acquire(self.partition, wish, fetched, self.now)
        offsets = self.model.acquire(wish.member_id, rows, self.now)
        assert count == len(offsets)
        assert bool(offsets) == bool(fetched.batches), (wish, rows)
        if wish.is_record_limit:
            assert count <= wish.max_records
        elif offsets:
            longest = max(batch.last_offset - batch.base_offset + 1 for batch in fetched.batches)
            assert count <= wish.max_records + max(longest, 25) * 2

    def acknowledge(self) -> None:
        member = self.random.choice(MEMBERS)
        ack = self.owned(member) if self.random.random() < 0.8 else self.anything()
        if ack is None:
            return
        start = self.partition.start_offset
        may = self.model.may_acknowledge(member, ack, start)
        try:
            update = acknowledge(self.partition, member, [ack], self.now)
        except KafkaError:
            assert not may, ack
            return
        assert may, ack
        self.started(update, self.model.acknowledge(ack, start, self.now))

    def owned(self, member: str) -> Acknowledgement | None:
        """A stretch of what the member has."""
        mine = [i for i, record in enumerate(self.model.records) if record.state == ACQUIRED and record.owner == member]
        if not mine:
            return None
        first = last = self.random.choice(mine)
        while self.random.random() < 0.9 and last + 1 in mine:
            last += 1
        return self.acknowledgement(first, last)

    def anything(self) -> Acknowledgement | None:
        if not self.log_end:
            return None
        first = self.random.randrange(self.log_end)
        return self.acknowledgement(first, min(first + self.random.choice([0, 1, 5]), self.log_end - 1))

    def acknowledgement(self, first: int, last: int) -> Acknowledgement:
        kinds = self.random.choice([[1], [1], [2], [3], [4], [0, 1, 2, 3], [0, 1, 2, 3, 4]])
        count = 1 if len(kinds) == 1 else last - first + 1
        return Acknowledgement(first, last, [self.random.choice(kinds) for _ in range(count)])

    def leave(self) -> None:
        member = self.random.choice(MEMBERS)
        self.started(release_acquired(self.partition, member), self.model.leave(member))

    def started(self, update: StateUpdate, offsets: list[int]) -> None:
        assert [o for row in update.rows for o in range(row.first_offset, row.last_offset + 1)] == offsets
        if update:
            self.pending.append((update, offsets))

    def complete(self, likely: float = 0.7) -> None:
        """The oldest write, as the persister is asked one by one."""
        if not self.pending:
            return
        update, offsets = self.pending.pop(0)
        is_written = self.random.random() < likely
        if is_written:
            self.stored.write(self.partition, update.rows)
        self.partition.complete(update, is_written=is_written)
        if update.states:
            self.model.complete(offsets, is_written=is_written)

    def wait(self) -> None:
        self.now += self.random.choice([1.0, 10.0, 31.0])
        if self.now >= self.partition.locks.next_deadline():
            update = release_expired(self.partition, self.now)
            expired = [o for row in update.rows for o in range(row.first_offset, row.last_offset + 1)]
            assert sorted(expired) == self.model.expire(self.now)
            if update:
                self.pending.append((update, []))

    def cut(self) -> None:
        """DeleteRecords; the share partition hears of it by the next read that is out of range."""
        if self.random.random() < 0.2 and self.log_end:
            self.model.log_start = max(self.model.log_start, self.random.randrange(self.log_end))

    def restart(self) -> None:
        if self.random.random() < 0.3:
            self.pending.clear()
            self.partition = self.new_partition()
            self.partition.initialize(self.stored.start_offset, 0, self.stored.batches())
            self.model.restart(self.stored.states, self.stored.start_offset)

    # -- what must hold

    def check(self) -> None:
        partition, done = self.partition, 0
        for batch in partition.cached:
            for offset in range(batch.first_offset, batch.last_offset + 1):
                state, record = batch.state_at(offset), self.model.records[offset]
                if offset >= partition.start_offset:
                    done += state.state.is_terminal
                    assert (state.state, state.delivery_count) == (record.state, record.count), (offset, record)
                    assert state.member_id == record.owner, (offset, record)
        for offset, record in enumerate(self.model.records[: partition.start_offset]):
            assert record.state.is_terminal or offset < self.model.log_start, f"{offset} is lost: {record}"
        assert partition.delivery_complete_count == done
        assert partition.locks.next_deadline() == min(
            (record.deadline for record in self.model.records if not record.has_expired), default=float("inf")
        )

    def finish(self) -> None:
        """Everything gets done in the end: a member that accepts whatever it is given comes to the end of the log."""
        for _ in range(20 * (self.log_end + 10)):
            while self.pending:
                self.complete(likely=1.0)
            offset = self.partition.next_fetch_offset()
            if offset < self.model.log_start:
                move_to_log_start(self.partition, self.model.log_start)
                self.model.hear_of_log_start()
                continue
            if offset >= self.log_end or not self.partition.can_acquire():
                if self.partition.locks.next_deadline() == float("inf"):
                    break
                self.now = self.partition.locks.next_deadline()
                self.wait()
                continue
            rows, _ = acquire(self.partition, Wish("last", 50, 10, False, offset), self.read(offset), self.now)
            for first, last in [(row.first_offset, row.last_offset) for row in rows]:
                self.model.acquire("last", [row for row in rows if row.first_offset == first], self.now)
                ack = Acknowledgement(first, last, [1])
                update = acknowledge(self.partition, "last", [ack], self.now)
                self.started(update, self.model.acknowledge(ack, self.partition.start_offset, self.now))
            self.check()
        assert self.partition.start_offset == self.log_end, f"stuck at {self.partition.start_offset}"
        lost = [
            (offset, record)
            for offset, record in enumerate(self.model.records)
            if not record.state.is_terminal and offset >= self.model.log_start
        ]
        assert not lost


@pytest.mark.parametrize("seed", seeds(150))
def test_all_states_are_those_of_the_model(seed: int) -> None:
    run = Run(seed)
    steps = [run.produce, run.take, run.take, run.acknowledge, run.acknowledge, run.acknowledge, run.complete]
    steps += [run.complete, run.wait, run.leave, run.cut, run.restart]
    for _ in range(STEPS):
        run.random.choice(steps)()
        run.check()
    run.finish()
