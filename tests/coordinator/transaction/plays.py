"""Plays of transactional ids: a coordinator on a log in memory, partitions that take markers or do not."""

from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.log_records import decode_batches
from pykbroker.coordinator.shard import CoordinatorRecord, Marker, Outcome
from pykbroker.coordinator.transaction.marker_writer import MarkerWriter
from pykbroker.coordinator.transaction.service import TransactionCoordinatorService
from pykbroker.coordinator.transaction.transaction_metadata import (
    EPOCH_BUMP,
    STATE_NAMES,
    ProducerIdentity,
    TransactionMetadata,
)
from pykbroker.coordinator.transaction.transaction_shard import TransactionShard
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from tests.coordinator.memory_log import MemoryLog
from tests.playbook import Playbook

ID = "tx"
STATE = TopicPartition("__transaction_state", 0)
A, B = TopicPartition("a", 0), TopicPartition("b", 1)
OFFSETS = TopicPartition("__consumer_offsets", 0)


class Numbers:
    """A controller that always has producer ids."""

    def __init__(self) -> None:
        self.numbers = count(100)
        self.stock = 1_000_000
        self.reserved = 0

    def take(self) -> int | None:
        if self.stock == 0:
            return None
        self.stock -= 1
        return next(self.numbers)

    async def reserve(self) -> None:
        self.reserved += 1
        self.stock += 1


class Partitions:
    """Takes markers at once, unless it was told what to answer instead."""

    def __init__(self) -> None:
        self.markers: dict[TopicPartition, list[Marker]] = {}
        self.answers: dict[TopicPartition, deque[KafkaError | Pending[None]]] = {}

    def write_marker(self, tp: TopicPartition | int, marker: Marker) -> Pending[None] | None:
        key = tp if isinstance(tp, TopicPartition) else TopicPartition("__consumer_offsets", tp)
        answers = self.answers.get(key)
        answer = answers.popleft() if answers else None
        if isinstance(answer, KafkaError):
            raise answer
        self.markers.setdefault(key, []).append(marker)
        return answer


class Failure:
    def __init__(self, error_code: int) -> None:
        self.error_code = error_code

    def __repr__(self) -> str:
        return f"Failure({self.error_code!r})"


class Done:
    """An operation without anything to tell."""

    error_code = 0


class TransactionPlay(Playbook):
    """After every event, what the shard holds equals what replaying the log gives, but for the last epochs."""

    def __init__(self, version: int = EPOCH_BUMP, **overrides: Any) -> None:
        super().__init__()
        self.version = version
        self.config = BrokerConfig()
        for name, value in overrides.items():
            setattr(self.config, name, value)
        self.log = MemoryLog()
        self.numbers = Numbers()
        self.partitions = Partitions()
        self.epoch = 0
        self.identities: dict[str, ProducerIdentity] = {}
        self.service = TransactionCoordinatorService(
            self.config,
            self.clock,
            self.log,
            MarkerWriter(self.partitions, self.partitions),
            producer_ids=lambda: self.numbers,
            partitions=lambda: 1,
            transaction_version=lambda: self.version,
        )
        self.service.on_elected(0, self.epoch)

    @property
    def shard(self) -> TransactionShard:
        return self.service.runtime.shard(0)

    @property
    def state(self) -> TransactionMetadata:
        metadata = self.shard.table.get(ID)
        assert metadata is not None
        return metadata

    def run(self, actor: str, operation: Callable[[TransactionShard], Outcome[Any]]) -> None:
        try:
            outcome, waiter = self.service.runtime.begin(0, operation)
        except KafkaError as error:
            self.receive(actor, Failure(error.code))
            return

        def answer(waiter: Pending[None] | None) -> None:
            try:
                if waiter is not None:
                    waiter.result()
            except KafkaError as error:
                self.receive(actor, Failure(error.code))
                return
            if isinstance(outcome.response, ProducerIdentity) and outcome.response.producer_id >= 0:
                self.identities[actor] = outcome.response
            self.receive(actor, outcome.response or Done())

        if waiter is None:
            answer(None)
        else:
            waiter.add_callback(answer)

    def __lshift__(self, event: Callable[[Any], object]) -> "TransactionPlay":
        event(self)
        self.check_log()
        return self

    def check_log(self) -> None:
        """Memory is what the log says (scenario 24)."""
        if self.service.runtime.is_active(0):
            mine = {key: self.logged(metadata) for key, metadata in self.shard.table.items()}
            assert mine == {key: self.logged(metadata) for key, metadata in self.replayed().table.items()}

    def logged(self, metadata: TransactionMetadata) -> TransactionMetadata:
        """What of it the log has room for."""
        if self.version == 0:
            metadata = metadata._replace(previous_producer_id=-1, next_producer_id=-1, client_version=0)
        return metadata._replace(last_epoch=-1)

    def replayed(self) -> TransactionShard:
        shard = TransactionShard(self.config, self.clock, self.service)
        for record in self.records():
            shard.replay(0, -1, record)
        return shard

    def records(self) -> list[CoordinatorRecord]:
        found = []
        for batch in self.log.batches.get(STATE, ()):
            for entry in decode_batches("transaction", batch):
                if isinstance(entry.content, CoordinatorRecord):
                    found.append(entry.content)
        return found

    def pass_time(self, seconds: float) -> None:
        """Looks at every second; the coordinator's own intervals are longer."""
        for _ in range(int(seconds)):
            self.clock.advance(1)
            self.service.runtime.step()
            self.service.markers.step()

    def reload(self) -> None:
        """The partition moves away, for so long that all is forgotten, and comes back."""
        self.service.on_resigned(0, None)
        self.service.markers.step()
        assert len(self.service.markers) == 0
        self.epoch += 1
        self.service.on_elected(0, self.epoch)
        self.service.markers.step()


# -- events


def init(
    actor: str = "p", expected: ProducerIdentity | None = None, timeout_ms: int = 60_000, key: str = ID
) -> Callable[[TransactionPlay], None]:
    return lambda play: play.run(actor, lambda shard: shard.init_producer_id(key, timeout_ms, expected))


def add(
    actor: str, *partitions: TopicPartition, version: int = EPOCH_BUMP, key: str = ID
) -> Callable[[TransactionPlay], None]:
    def event(play: TransactionPlay) -> None:
        producer = play.identities[actor]
        play.run(actor, lambda shard: shard.add_partitions(key, producer, partitions, version))

    return event


def end(
    actor: str, commit: bool, version: int = EPOCH_BUMP, identity: ProducerIdentity | None = None, key: str = ID
) -> Callable[[TransactionPlay], None]:
    """The partitions are not told before `tell`."""

    def event(play: TransactionPlay) -> None:
        producer = identity or play.identities[actor]
        play.run(actor, lambda shard: shard.end_transaction(key, producer, commit=commit, client_version=version))

    return event


def tell(play: TransactionPlay) -> None:
    """The partitions of transactions that end are told."""
    play.service.markers.step()


def reload(play: TransactionPlay) -> None:
    play.reload()


def hold_commits(play: TransactionPlay) -> None:
    """The high watermark stays where it is."""
    play.log.auto_commit = False


def commit_log(play: TransactionPlay) -> None:
    play.log.auto_commit = True
    play.log.commit(STATE)


def fail_append(code: int) -> Callable[[TransactionPlay], None]:
    return lambda play: play.log.failures.append(KafkaError(code))


def partition_answers(tp: TopicPartition, *answers: int | Pending[None]) -> Callable[[TransactionPlay], None]:
    def event(play: TransactionPlay) -> None:
        play.partitions.answers[tp] = deque(
            answer if isinstance(answer, Pending) else KafkaError(answer) for answer in answers
        )

    return event


# -- effects


def identified(actor: str, producer_id: int, epoch: int) -> Callable[[TransactionPlay], None]:
    def effect(play: TransactionPlay) -> None:
        assert play.take(actor) == (producer_id, epoch)

    return effect


def done(actor: str) -> Callable[[TransactionPlay], None]:
    def effect(play: TransactionPlay) -> None:
        answer = play.take(actor)
        assert isinstance(answer, Done), answer

    return effect


def refused(actor: str, code: int) -> Callable[[TransactionPlay], None]:
    def effect(play: TransactionPlay) -> None:
        answer = play.take(actor)
        assert getattr(answer, "error_code", None) == code, answer

    return effect


def is_in(state: int, **fields: object) -> Callable[[TransactionPlay], None]:
    def effect(play: TransactionPlay) -> None:
        found = play.state
        assert STATE_NAMES[found.state] == STATE_NAMES[state]
        assert {name: getattr(found, name) for name in fields} == fields

    return effect


def told(tp: TopicPartition, *markers: tuple[int, int, bool]) -> Callable[[TransactionPlay], None]:
    """(producer id, epoch, commit) of all markers so far."""

    def effect(play: TransactionPlay) -> None:
        found = play.partitions.markers.get(tp, [])
        assert [(marker.producer_id, marker.epoch, marker.commit) for marker in found] == list(markers)

    return effect
