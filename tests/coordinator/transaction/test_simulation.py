"""Seeded runs: producers commit, abort, crash and come back as zombies; answers get lost, coordinators move, the broker
dies, partitions refuse markers; then all behave again.

What read_committed sees then: every acknowledged commit whole, nothing that was aborted, of what nobody knows all or
nothing; no record twice; no transaction hangs; offsets as the last visible transaction left them.
"""

from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest

from pykbroker.coordinator.shard import Marker
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from pykbroker.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnTopic
from pykbroker.protocol.messages.end_txn import EndTxnRequest
from pykbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from pykbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from pykbroker.record.builder import build_batch
from pykbroker.record.control import ControlType, control_type_of
from pykbroker.record.reader import iterate_records
from tests.coordinator.simulation import Simulation, seeds
from tests.handlers.broker.asker import MemoryAsker, Topic, for_version, produce_request
from tests.log.logs import read_all
from tests.replica.stand import Stand

PARTITIONS = 3
IDS = ("red", "green", "blue")
TOPIC = "t"
LATER = (
    E.CONCURRENT_TRANSACTIONS,
    E.NOT_COORDINATOR,
    E.COORDINATOR_LOAD_IN_PROGRESS,
    E.COORDINATOR_NOT_AVAILABLE,
    E.NOT_ENOUGH_REPLICAS,
)


class World(MemoryAsker):
    """A broker that can be killed, whose coordinators move and whose partitions refuse markers."""

    SERVED = (
        ApiKey.PRODUCE,
        ApiKey.INIT_PRODUCER_ID,
        ApiKey.ADD_PARTITIONS_TO_TXN,
        ApiKey.ADD_OFFSETS_TO_TXN,
        ApiKey.TXN_OFFSET_COMMIT,
        ApiKey.END_TXN,
    )

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder = folder
        self.random = random
        self.epoch = 0
        self.refusal = 0.3
        self.numbers = iter(range(10_000))
        self.start(Stand(folder))
        for name, partitions in (("__transaction_state", 2), ("__consumer_offsets", 1), (TOPIC, PARTITIONS)):
            self.topic = Topic(name, self.stand.create(name, partitions))
        self.move_coordinators()

    def start(self, stand: Stand) -> None:
        super().__init__(stand)
        stand.config.offsets_topic_num_partitions = 1
        writer = stand.transactions.marker_writer
        write = writer.write

        def sometimes(tp: TopicPartition, marker: Marker) -> Any:
            if self.random.random() < self.refusal:
                raise KafkaError(E.NOT_LEADER_OR_FOLLOWER)
            return write(tp, marker)

        writer.write = sometimes  # type: ignore[method-assign]

    def move_coordinators(self) -> None:
        self.epoch += 1
        for coordinator, topic, partitions in (
            (self.stand.transactions, "__transaction_state", 2),
            (self.stand.groups, "__consumer_offsets", 1),
        ):
            for index in range(partitions):
                self.stand.elect(topic, 1, self.epoch, index)
                coordinator.on_resigned(index, self.epoch)
                coordinator.on_elected(index, self.epoch)

    def kill(self) -> None:
        """As SIGKILL leaves it; the next start recovers the logs."""
        topics, clock, blocks = list(self.stand.image.topics), self.stand.clock, self.stand.producer_ids
        self.stand.close()
        stand = Stand(self.folder)
        stand.clock.advance(clock.monotonic() - stand.clock.monotonic())
        stand.producer_ids = blocks
        self.start(stand)
        for topic in topics:
            stand.set_topic(topic)
        self.move_coordinators()

    def step(self) -> None:
        self.stand.transactions.runtime.step()
        self.stand.transactions.markers.step()

    def log(self, index: int) -> UnifiedLog:
        return self.stand.partition(TOPIC, index).log


class Transaction:
    def __init__(self, number: int) -> None:
        self.number = number
        self.acknowledged: set[int] = set()
        self.offset_acknowledged = False
        self.offset_tried = False
        self.outcome: bool | None = None  # committed, aborted, nobody knows


class Client:
    """A producer as its library behaves: one request at a time, sent again until it hears of it."""

    def __init__(self, world: World, transactional_id: str, history: list[Transaction]) -> None:
        self.world = world
        self.id = transactional_id
        self.history = history
        self.is_new = world.random.random() < 0.6  # transactions v2
        self.restart()

    def restart(self) -> None:
        self.identity: tuple[int, int] | None = None
        self.transaction: Transaction | None = None
        self.sequences: dict[int, int] = {}
        self.plan: list[Any] = []

    def step(self) -> None:
        if self.identity is None:
            self.init()
        elif self.transaction is None:
            self.begin()
        elif self.act(self.plan[0]):
            self.plan.pop(0)

    def init(self) -> None:
        request = InitProducerIdRequest(transactional_id=self.id, transaction_timeout_ms=20_000)
        response = self.world.ask(request, 5)
        assert response.error_code in (0, *LATER), response
        if response.error_code == 0 and self.hears():
            self.identity = (response.producer_id, response.producer_epoch)
            self.sequences = {}

    def hears(self) -> bool:
        """Some answers get lost."""
        return self.world.random.random() > 0.15

    def begin(self) -> None:
        random = self.world.random
        self.transaction = Transaction(next(self.world.numbers))
        self.history.append(self.transaction)
        chosen = random.sample(range(PARTITIONS), random.randint(1, PARTITIONS))
        self.plan = []
        for index in chosen:
            if not self.is_new:
                self.plan.append(("add", index))
            self.plan += [("produce", index)] * random.randint(1, 2)
        if random.random() < 0.5:
            self.plan += [("offset", 0)] if self.is_new else [("group", 0), ("offset", 0)]
        self.plan.append(("end", random.random() < 0.7))

    def act(self, what: tuple[str, int]) -> bool:
        """True: done."""
        kind, argument = what
        code = getattr(self, kind)(argument)
        if not self.hears() or code in LATER:
            return False
        if code:
            self.restart()  # fenced, or to be aborted: whatever it is, a new start ends it
            return False
        return self.identity is not None and bool(self.plan)

    def add(self, index: int) -> int:
        assert self.identity is not None
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.id,
            v3_and_below_producer_id=self.identity[0],
            v3_and_below_producer_epoch=self.identity[1],
            v3_and_below_topics=[AddPartitionsToTxnTopic(TOPIC, [index])],
        )
        response = self.world.ask(request, 3)
        return int(response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code)

    def produce(self, index: int) -> int:
        assert self.identity is not None
        assert self.transaction is not None
        sequence = self.sequences.get(index, 0)
        value = b"%d/%d" % (self.transaction.number, sequence)
        records = build_batch(
            [(None, value, (), 1_700_000_000_000)],
            producer_id=self.identity[0],
            producer_epoch=self.identity[1],
            base_sequence=sequence,
            is_transactional=True,
        )
        version = 12 if self.is_new else 11
        request = produce_request(self.world.topic, [(index, bytes(records))], transactional_id=self.id)
        response = self.world.ask(for_version(request, version), version)
        code = int(response.responses[0].partition_responses[0].error_code)
        if code == 0 and self.hears():
            self.sequences[index] = sequence + 1
            self.transaction.acknowledged.add(index)
            return 0
        return code or E.NOT_ENOUGH_REPLICAS

    def group(self, _: int) -> int:
        assert self.identity is not None
        request = AddOffsetsToTxnRequest(
            transactional_id=self.id, producer_id=self.identity[0], producer_epoch=self.identity[1], group_id=self.id
        )
        return int((self.world.ask(request, 4)).error_code)

    def offset(self, _: int) -> int:
        assert self.identity is not None
        assert self.transaction is not None
        row = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=self.transaction.number)
        request = TxnOffsetCommitRequest(
            transactional_id=self.id,
            group_id=self.id,
            producer_id=self.identity[0],
            producer_epoch=self.identity[1],
            topics=[TxnOffsetCommitRequestTopic(name=TOPIC, partitions=[row])],
        )
        self.transaction.offset_tried = True
        response = self.world.ask(request, 5 if self.is_new else 4)
        code = int(response.topics[0].partitions[0].error_code)
        self.transaction.offset_acknowledged |= code == 0
        return code

    def end(self, commit: int) -> int:
        assert self.identity is not None
        assert self.transaction is not None
        request = EndTxnRequest(
            transactional_id=self.id,
            producer_id=self.identity[0],
            producer_epoch=self.identity[1],
            committed=bool(commit),
        )
        response = self.world.ask(request, 5 if self.is_new else 4)
        if response.error_code == 0 and self.hears():
            self.transaction.outcome = bool(commit)
            self.transaction = None
            self.plan = [None]
            if self.is_new:
                self.identity = (response.producer_id, response.producer_epoch)
                self.sequences = {}
            return 0
        return int(response.error_code) or E.CONCURRENT_TRANSACTIONS


def visible(log: UnifiedLog) -> list[bytes]:
    """What a read_committed consumer makes of batches and the list of aborted transactions."""
    aborted = sorted(log.aborted_transactions(0, log.last_stable_offset), key=lambda each: each.first_offset)
    skipping: set[int] = set()
    values = []
    for header, batch in read_all(log, log.last_stable_offset):
        while aborted and aborted[0].first_offset <= header.last_offset:
            skipping.add(aborted.pop(0).producer_id)
        for record in iterate_records(batch):
            if header.is_control:
                if control_type_of(record.key) == ControlType.ABORT:
                    skipping.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in skipping):
                assert record.value is not None
                values.append(record.value)
    return values


class Run(Simulation):
    """`clients`: the living one of each id first, then the zombies, who do not know."""

    STEPS = 120
    ACTIONS: ClassVar = {"kill": 2, "move": 3, "succeed": 3, "pass_time": 3, "complete": 11, "act": 78}

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(seed)
        self.world = World(folder, self.random)
        self.histories: dict[str, list[Transaction]] = {name: [] for name in IDS}
        self.clients = [Client(self.world, name, self.histories[name]) for name in IDS]
        self.read: list[list[bytes]] = [[] for _ in range(PARTITIONS)]

    def kill(self) -> None:
        self.world.kill()

    def move(self) -> None:
        self.world.move_coordinators()

    def succeed(self) -> None:
        """A new process under the same id; the old one lives on without knowing."""
        place = self.random.randrange(len(IDS))
        old = self.clients[place]
        self.clients.append(old)
        self.clients[place] = Client(self.world, old.id, old.history)

    def pass_time(self) -> None:
        self.world.stand.clock.advance(self.random.choice([1, 11, 25]))
        self.world.step()

    def complete(self) -> None:
        self.world.step()

    def act(self) -> None:
        living, zombies = self.clients[: len(IDS)], self.clients[len(IDS) :]
        self.random.choice(zombies if zombies and self.random.random() < 0.2 else living).step()

    def check(self) -> None:
        """What read_committed has read once stays, and of what is known to be aborted it never reads anything."""
        if self.random.random() > 0.2:
            return
        aborted = {each.number for rows in self.histories.values() for each in rows if each.outcome is False}
        for index in range(PARTITIONS):
            before, self.read[index] = self.read[index], visible(self.world.log(index))
            assert self.read[index][: len(before)] == before, "read_committed read what is gone"
            assert aborted.isdisjoint(map(number_of, self.read[index])), "an aborted transaction is read"

    def settle(self) -> None:
        world = self.world
        world.refusal = 0.0
        for name, history in self.histories.items():
            heir = Client(world, name, history)
            for _ in range(1000):
                world.step()
                heir.step()
                if heir.identity is not None:
                    break
            else:
                raise AssertionError(f"{name} gets no producer id")
        world.step()
        assert len(world.stand.transactions.markers) == 0

    def check_end(self) -> None:
        check(self.world, self.histories)


def number_of(value: bytes) -> int:
    """Of the transaction that wrote it."""
    return int(value.split(b"/")[0])


def check(world: World, histories: dict[str, list[Transaction]]) -> None:
    seen: list[set[int]] = []
    for index in range(PARTITIONS):
        log = world.log(index)
        assert log.last_stable_offset == log.high_watermark == log.log_end_offset, "a transaction hangs"
        values = visible(log)
        assert len(values) == len(set(values)), "a record twice"
        seen.append(set(map(number_of, values)))
    for name, history in histories.items():
        for transaction in history:
            found = {index for index in range(PARTITIONS) if transaction.number in seen[index]}
            if transaction.outcome is True:
                assert transaction.acknowledged <= found, "an acknowledged transaction is lost"
            elif transaction.outcome is False:
                assert not found, "an aborted transaction is read"
            else:
                assert not found or transaction.acknowledged <= found, "half a transaction"
        check_offset(world, name, history, seen)


def check_offset(world: World, name: str, history: list[Transaction], seen: list[set[int]]) -> None:
    offset = world.stand.groups.runtime.shard(0).offsets.offsets.get(name, TopicPartition(TOPIC, 0))
    assert not world.stand.groups.runtime.shard(0).offsets.has_open_transactions(name)
    shown = [each for each in history if any(each.number in numbers for numbers in seen)]
    sure = max((each.number for each in shown if each.offset_acknowledged), default=-1)
    tried = {each.number for each in shown if each.offset_tried}
    found = -1 if offset is None else offset.offset
    assert found >= sure, "a committed offset went back"
    assert found == -1 or found in tried, "an offset of an aborted transaction"


@pytest.mark.parametrize("seed", seeds(30))
def test_committed_means_all_and_aborted_nothing(seed: int, tmp_path: Path) -> None:
    run = Run(seed, tmp_path)
    try:
        run.run()
    finally:
        run.world.stand.close()
