"""What simulated runs of groups share: clients that ask one thing at a time, a log that lags, refuses, loses what was
not committed and moves away, and what must hold whatever happens.

Memory equals the replayed log (scenario 24); no partition has two owners, neither by the coordinator's word nor by what
the living members believe (scenarios 26, 27); no acknowledged commit goes back.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from math import inf
from random import Random
from typing import Any, ClassVar
from unittest.mock import patch

from pykbroker.coordinator import context
from pykbroker.coordinator.context import ACTIVE
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.consumer_member import pairs
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.consumer_plays import topic_id
from tests.coordinator.group.plays import TP, Failure, GroupPlay, commit, fetched
from tests.coordinator.simulation import Simulation

Event = Callable[[GroupPlay], None]
Partition = tuple[str, int]
LOAD_SLICE = 3  # records: so that a log is loaded in many steps


class Client(ABC):
    """A consumer as its library behaves: one request at a time. `waiting`: of which kind the one under way is."""

    def __init__(self, base: str, random: Random) -> None:
        self.base = base
        self.random = random
        self.number = 0
        self.instance: str | None = None
        self.restart()

    @property
    def name(self) -> str:
        """Another one for each process."""
        return f"{self.base}{self.number}"

    def restart(self) -> None:
        """A new process. What the old one asked may stay pending for ever."""
        self.number += 1
        self.waiting: str | None = None
        self.abandon()

    def abandon(self) -> None:
        """It is no member: it owns nothing, and joins again."""
        self.member_id = ""
        self.epoch = 0  # or generation
        self.owned: dict[str, list[int]] = {}

    @property
    def partitions(self) -> list[Partition]:
        return [(topic, partition) for topic, rows in self.owned.items() for partition in rows]

    @property
    def is_in(self) -> bool:
        """It believes to be a member, and that what it owns is its own."""
        return bool(self.epoch)

    @abstractmethod
    def ask(self, run: "GroupRun") -> Event:
        """The next request; `waiting` is set."""

    @abstractmethod
    def hear(self, answers: Sequence[Any]) -> None: ...

    def forget_lost(self) -> None:
        """No answer will come to what is under way."""
        self.waiting = None

    @abstractmethod
    def leave(self, run: "GroupRun") -> Event: ...


class GroupRun(Simulation, ABC):
    """Subclasses make the play and the clients."""

    PAUSES: ClassVar[Sequence[float]] = (0.1, 1, 3, 7, 20, 70)
    TURNS = 400  # until it has settled

    play: GroupPlay
    clients: list[Any]

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.attempted: list[Partition] = []  # by the offset committed
        self.acknowledged: dict[Partition, int] = {}
        self.group_epoch = 0

    def some_client(self) -> Any:
        return self.random.choice(self.clients)

    # -- actions

    def speak(self) -> None:
        client = self.some_client()
        if client.waiting is None:
            self.say(client)

    def say(self, client: Any) -> None:
        client.ask(self)(self.play)

    def commit(self) -> None:
        client = self.some_client()
        if client.waiting is not None or not client.is_in or not client.partitions:
            return
        topic, partition = self.random.choice(client.partitions)
        self.attempted.append((topic, partition))
        event = commit(
            f"commit {len(self.attempted)}",
            len(self.attempted),
            topic=topic,
            partition=partition,
            topic_id=topic_id(topic),
            member=False,
            member_id=client.member_id,
            generation_id_or_member_epoch=client.epoch,
            group_instance_id=client.instance,
        )
        event(self.play)

    def pass_time(self) -> None:
        self.play.pass_time(self.random.choice(self.PAUSES))

    def crash(self) -> None:
        self.some_client().restart()

    def go(self) -> None:
        client = self.some_client()
        if client.waiting is None and client.is_in:
            client.leave(self)(self.play)
            client.restart()

    def refuse(self) -> None:
        """The next append fails, before or after it was written."""
        log = self.play.log
        if self.random.random() < 0.5:
            log.failures.append(KafkaError(self.random.choice([E.NOT_ENOUGH_REPLICAS, E.MESSAGE_TOO_LARGE])))
        else:
            log.fail_after_write.append(KafkaError(E.KAFKA_STORAGE_ERROR))

    def lag(self) -> None:
        """The high watermark stays behind, or does so no longer."""
        self.play.log.auto_commit = not self.play.log.auto_commit

    def catch_up(self) -> None:
        self.play.log.commit(TP)

    def move(self) -> None:
        """The partition is led elsewhere, perhaps by a replica that lacks what is not committed, at any record."""
        log = self.play.log
        if self.random.random() < 0.5:
            log.truncate(TP, self.random.randint(log.watermarks.get(TP, 0), log.end(TP)))
        self.play.reload(self.random.choice([0, 1, 2, 5, inf]))

    # -- what comes of it

    def listen(self) -> None:
        play = self.play
        for _ in range(self.random.choice([0, 1, 20])):
            play.context.load_step()
        clients = {client.name: client for client in self.clients}
        for actor, answers in play.unread().items():
            play.inbox[actor].clear()
            if actor.startswith("commit "):
                self.hear_commit(int(actor.split()[1]), answers[0])
            elif actor in clients and clients[actor].waiting is not None:
                clients[actor].hear(answers)

    def hear_commit(self, offset: int, answer: Any) -> None:
        if not isinstance(answer, Failure) and not answer.topics[0].partitions[0].error_code:
            partition = self.attempted[offset - 1]
            self.acknowledged[partition] = max(offset, self.acknowledged.get(partition, 0))

    def check(self) -> None:
        if self.play.context.state != ACTIVE:
            return
        self.play.check_log()
        self.check_commits()
        group = self.play.group
        if isinstance(group, ConsumerGroup):
            self.check_owners(group)
        else:
            self.group_epoch = 0  # of whatever group comes next
        self.check_believers(group)

    def check_commits(self) -> None:
        for (topic, partition), offset in self.acknowledged.items():
            row = fetched(self.play, topic=topic, partition=partition, topic_id=topic_id(topic))
            assert row.committed_offset >= offset, "an acknowledged commit went back"

    def check_owners(self, group: ConsumerGroup) -> None:
        owners: dict[Any, str] = {}
        for _, member in group.members.items():
            for owned in (member.owned, member.revoking):
                for key in pairs(owned):
                    assert owners.setdefault(key, member.member_id) == member.member_id, "two owners by our word"
        epochs = group.epochs
        assert epochs.group >= epochs.assignment
        log = self.play.log
        if log.watermarks.get(TP, 0) == log.end(TP):
            assert epochs.group >= self.group_epoch or not epochs.group, "the group's epoch went back"
            self.group_epoch = epochs.group

    def check_believers(self, group: Any) -> None:
        believers: dict[Any, str] = {}
        for client, key in self.beliefs(group):
            other = believers.setdefault(key, client.name)
            assert other == client.name, f"{other} and {client.name} both consume {key}"

    def beliefs(self, group: Any) -> Iterator[tuple[Client, Any]]:
        """Who consumes what, as it thinks. Who is no member any more will hear so."""
        for client in self.clients:
            if client.is_in and group is not None and client.member_id in group.members:
                yield from ((client, key) for key in client.partitions)

    # -- the whole

    def run(self) -> None:
        with patch.object(context, "_LOAD_SLICE", LOAD_SLICE):
            super().run()

    def settle(self) -> None:
        play = self.play
        self.done.append("settle")
        play.log.failures.clear()
        play.log.fail_after_write.clear()
        play.log.auto_commit = True
        play.log.commit(TP)
        play.reload()
        self.listen()
        assert play.context.state == ACTIVE
        for client in self.clients:
            if client.waiting is not None:
                client.forget_lost()
        for _ in range(self.TURNS):
            for client in self.clients:
                if client.waiting is None:
                    self.say(client)
                    self.listen()
                    self.check()
            play.pass_time(1)
            self.listen()
            self.check()
            if self.is_settled():
                return
        raise AssertionError(f"{play.group} did not settle: {[vars(client) for client in self.clients]}")

    @abstractmethod
    def is_settled(self) -> bool: ...
