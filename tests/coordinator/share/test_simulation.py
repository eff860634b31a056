"""Seeded runs: leaders come and go, write deliveries, groups begin anew; commits are held back, the coordinator is
loaded again at any record and loses what was not committed, the log is pruned, topics are deleted.

A plain model, one entry per offset, says what every answer and every state must be. PYKBROKER_SEEDS=10000 runs more;
a failing seed is named by the test's id.
"""

import os
from copy import deepcopy
from random import Random
from typing import Any

import pytest

from pykbroker.coordinator.share.refused import Refused
from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.initialize_share_group_state import PartitionData as InitializePartition
from pykbroker.protocol.messages.read_share_group_state import PartitionData as ReadPartition
from pykbroker.protocol.messages.write_share_group_state import PartitionData as WritePartition
from pykbroker.protocol.messages.write_share_group_state import StateBatch
from pykbroker.record.batch import parse_header
from tests.coordinator.share.plays import OTHER, STATE, TOPIC, SharePlay

SEEDS = int(os.environ.get("PYKBROKER_SEEDS", "20"))
STEPS = 150
KEYS = [SharePartitionKey(group, topic, 0) for group in ("a", "b") for topic in (TOPIC, OTHER)]


class Model:
    """What there is of one share partition. `deliveries`: offset → (delivery count, delivery state)."""

    def __init__(self, state_epoch: int, start: int) -> None:
        self.state_epoch = state_epoch
        self.leader_epoch = 0
        self.start = start
        self.complete = -1 if start == -1 else 0
        self.deliveries: dict[int, tuple[int, int]] = {}

    def seen(self) -> tuple[Any, ...]:
        return self.state_epoch, self.leader_epoch, self.start, self.complete, self.deliveries

    def deliver(self, batch: StateBatch) -> None:
        for offset in range(batch.first_offset, batch.last_offset + 1):
            delivery = batch.delivery_count, batch.delivery_state
            self.deliveries[offset] = max(delivery, self.deliveries.get(offset, delivery))

    def cut(self) -> None:
        self.deliveries = {offset: row for offset, row in self.deliveries.items() if offset >= self.start}


class Simulation:
    """`committed`: the models as they are below each log end that may become the high watermark."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.play = SharePlay(
            share_coordinator_snapshot_update_records_per_snapshot=self.random.choice((0, 1, 4, 30)),
            share_coordinator_cold_partition_snapshot_interval_ms=5_000,
        )
        self.models: dict[SharePartitionKey, Model] = {}
        self.fences: dict[SharePartitionKey, tuple[int, int]] = {}  # highest leader epoch, state epoch
        self.history = {0: self.copies()}
        self.pruned = False

    def copies(self) -> Any:
        return deepcopy((self.models, self.fences))

    def run(self) -> None:
        steps = [self.initialize] * 3 + [self.read] * 4 + [self.write] * 12 + [self.summary, self.delete]
        steps += [self.hold, self.commit, self.commit, self.reload, self.upkeep, self.delete_topic]
        for _ in range(STEPS):
            self.random.choice(steps)()
            self.history[self.play.log.end(STATE)] = self.copies()
            self.check()

    def check(self) -> None:
        table = dict(self.play.shard.table.items())
        assert table.keys() == self.models.keys()
        for key, state in table.items():
            offset = state.offset
            deliveries: dict[int, tuple[int, int]] = {}
            for batch in offset.batches:
                row = dict.fromkeys(range(batch.first_offset, batch.last_offset + 1), batch.delivery)
                assert not row.keys() & deliveries.keys()
                deliveries |= row
            found = offset.state_epoch, offset.leader_epoch, offset.start_offset, offset.delivery_complete_count
            assert (*found, deliveries) == self.models[key].seen()

    # -- operations

    def do(self, operation: Any) -> Any:
        """The response, or the error code as a negative number, None for no response."""
        try:
            outcome, _ = self.play.service.runtime.begin(0, operation)
        except Refused as error:
            return -error.code
        return outcome.response

    def fenced(self, key: SharePartitionKey, leader_epoch: int = -1, state_epoch: int = -1) -> int | None:
        if self.pruned:
            state = self.play.shard.table.get(key)
            leader, epoch = (-1, -1) if state is None else (state.leader_epoch, state.state_epoch)
        else:
            leader, epoch = self.fences.get(key, (-1, -1))
        if leader_epoch != -1 and leader_epoch < leader:
            return -E.FENCED_LEADER_EPOCH
        if state_epoch != -1 and state_epoch < epoch:
            return -E.FENCED_STATE_EPOCH
        return None

    def raise_fences(self, key: SharePartitionKey, leader_epoch: int, state_epoch: int) -> None:
        leader, epoch = self.fences.get(key, (leader_epoch, state_epoch))
        self.fences[key] = max(leader, leader_epoch), max(epoch, state_epoch)

    def initialize(self) -> None:
        key, epoch = self.random.choice(KEYS), self.random.randint(-1, 4)
        start = self.random.choice((-1, 0, self.random.randint(0, 30)))
        expected = self.fenced(key, state_epoch=epoch)
        asked = InitializePartition(0, epoch, start)
        assert self.do(lambda shard: shard.initialize_state(key, asked)) == expected
        if expected is None:
            self.models[key] = Model(epoch, start)
            self.raise_fences(key, 0, epoch)

    def read(self) -> None:
        key, leader = self.random.choice(KEYS), self.random.randint(-1, 5)
        expected = -E.INVALID_REQUEST if key not in self.models else self.fenced(key, leader)
        before = deepcopy(self.models.get(key))
        answer = self.do(lambda shard: shard.read_state(key, ReadPartition(0, leader)))
        if expected is not None:
            assert answer == expected
            return
        assert before is not None
        assert (answer.state_epoch, answer.start_offset) == (before.state_epoch, before.start)
        if leader != -1 and (self.pruned or leader > self.fences[key][0]):
            state = self.play.shard.table[key]
            assert state.leader_epoch == leader
            self.models[key].leader_epoch = state.offset.leader_epoch
            self.raise_fences(key, leader, self.fences[key][1])
        if before.start != -1:
            self.models[key].cut()

    def write(self) -> None:
        key, random = self.random.choice(KEYS), self.random
        leader, epoch = random.randint(-1, 5), random.randint(-1, 4)
        start = -1 if random.random() < 0.6 else random.randint(0, 30)
        batches = []
        for _ in range(random.randint(0, 3)):
            first = random.randint(0, 40)
            batches.append(
                StateBatch(first, first + random.randint(0, 6), random.choice((0, 2, 4)), random.randint(1, 4))
            )
        expected = -E.INVALID_REQUEST if key not in self.models else self.fenced(key, leader, epoch)
        asked = WritePartition(0, epoch, leader, start, len(batches), batches)
        assert self.do(lambda shard: shard.write_state(key, asked)) == expected
        if expected is not None:
            return
        model = self.models[key]
        for batch in batches:
            model.deliver(batch)
        model.start = model.start if start == -1 else start
        model.complete = len(batches)
        if model.start != -1:
            model.cut()

    def summary(self) -> None:
        key = self.random.choice(KEYS)
        answer, model = self.do(lambda shard: shard.read_summary(key)), self.models.get(key)
        if model is None:
            assert answer is None
        else:
            found = answer.state_epoch, answer.leader_epoch, answer.start_offset, answer.delivery_complete_count
            assert found == model.seen()[:4]

    def delete(self) -> None:
        key = self.random.choice(KEYS)
        assert self.do(lambda shard: shard.delete_state(key)) is None
        self.forget(key)

    def forget(self, key: SharePartitionKey) -> None:
        self.models.pop(key, None)
        self.fences.pop(key, None)

    # -- what happens around it

    def delete_topic(self) -> None:
        topic = self.random.choice((TOPIC, OTHER))
        self.play.service.on_topics_deleted([("gone", topic)])
        for key in KEYS:
            if key.topic_id == topic:
                self.forget(key)

    def upkeep(self) -> None:
        self.play.clock.advance(self.random.randint(0, 9))
        self.play.service.snapshot_cold_partitions()
        offset, log = self.do(lambda shard: shard.last_redundant_offset()), self.play.log
        # The answer waits for the commit of all that it was found in: what it counts on must not get lost.
        if offset is not None and log.watermarks.get(STATE, 0) == log.end(STATE):
            log.delete_records(STATE, offset)
            self.pruned = True

    def hold(self) -> None:
        self.play.log.auto_commit = False

    def commit(self) -> None:
        self.play.log.auto_commit = True
        self.play.log.commit(STATE)

    def reload(self) -> None:
        """What is not committed may be lost, from any batch on."""
        log = self.play.log
        ends = [parse_header(batch).next_offset for batch in log.batches.get(STATE, [])]
        high_watermark = log.watermarks.get(STATE, 0)
        kept = self.random.choice([end for end in ends if end >= high_watermark] or [high_watermark])
        if kept in self.history and kept < log.end(STATE):
            log.truncate(STATE, kept)
            self.models, self.fences = deepcopy(self.history[kept])
        log.commit(STATE)
        self.play.reload()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_state_is_what_was_written(seed: int) -> None:
    Simulation(seed).run()
