"""Seeded runs of consumer groups: members join, stall, crash, leave and change their minds, answers get lost, topics
come, grow and go, the log lags, refuses and moves away; then all behave again.

After every step memory equals the replayed log, no partition has two owners, neither by the coordinator's word nor by
what the living members believe, epochs and acknowledged commits never go back; at the end everything subscribed to is
consumed, evenly.
PYKBROKER_SEEDS=10000 runs more; a failing seed is named by the test's id.
"""

import os
from random import Random
from typing import Any

import pytest

from pykbroker.coordinator.group.consumer_group import STABLE, ConsumerGroup
from pykbroker.coordinator.group.consumer_member import pairs
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.consumer_plays import ConsumerPlay, beat, topic_id
from tests.coordinator.group.plays import TP, Failure, commit, fetched

SEEDS = int(os.environ.get("PYKBROKER_SEEDS", "25"))
STEPS = 80

Owned = dict[str, list[int]]


class Client:
    """A consumer as its library behaves: it gives back first, says so, and begins with what is new at once."""

    def __init__(self, name: str, random: Random) -> None:
        self.random = random
        self.base = name
        self.instance = f"i-{name}" if random.random() < 0.3 else None
        self.number = 0
        self.topics = random.sample(["t", "u", "v"], random.randint(1, 3))
        self.regex: str | None = random.choice([None, None, None, "t|w.*"])
        self.restart()

    @property
    def name(self) -> str:
        return f"{self.base}{self.number}"

    def restart(self) -> None:
        """A new process."""
        self.number += 1
        self.abandon()

    def abandon(self) -> None:
        """It owns nothing, and joins again."""
        self.epoch = 0
        self.owned: Owned = {}
        self.tells_all = True
        self.waits = False
        self.changed = False  # since the last request

    def request(self, hears: bool = True) -> Any:
        self.waits = hears
        self.changed = False
        fields: dict[str, Any] = {"instance_id": self.instance}
        if self.epoch == 0 or self.tells_all:
            fields |= {
                "rebalance_timeout_ms": 30_000,
                "subscribed_topic_names": list(self.topics),
                "subscribed_topic_regex": self.regex or "",
            }
        name = self.name if hears else "nobody"
        return beat(name, self.epoch, dict(self.owned), member_id=self.name, **fields)

    def hear(self, answer: Any) -> None:
        self.waits = False
        code = getattr(answer, "error_code", 0)
        if isinstance(answer, Failure) or code:
            if code in (E.UNKNOWN_MEMBER_ID, E.FENCED_MEMBER_EPOCH, E.GROUP_ID_NOT_FOUND):
                self.abandon()
            elif code == E.FENCED_INSTANCE_ID:
                self.restart()
            else:
                self.tells_all = True  # it does not know what was heard
            return
        self.epoch = answer.member_epoch
        self.tells_all = self.changed
        if answer.assignment is not None:
            rows = answer.assignment.topic_partitions
            self.owned = {row.topic_id.lstrip(b"\1").decode(): list(row.partitions) for row in rows}


class Run:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.counts = {"t": 4, "u": 3}
        self.play = ConsumerPlay(
            self.counts,
            group_consumer_assignment_interval_ms=self.random.choice([0, 1000]),
            group_consumer_max_size=self.random.choice([3, 2**31 - 1]),
            group_consumer_assignors=self.random.choice([["uniform", "range"], ["range"]]),
        )
        self.clients = [Client(name, self.random) for name in "abcde"[: self.random.randint(1, 5)]]
        self.epoch = 0
        self.attempted: list[tuple[str, int]] = []  # partitions, by the offset committed
        self.acknowledged: dict[tuple[str, int], int] = {}

    # -- steps

    def step(self) -> None:
        self.random.choices(
            [
                self.speak,
                self.commit,
                self.lose,
                self.pass_time,
                self.crash,
                self.go,
                self.disturb,
                self.change,
                self.alter,
            ],
            [40, 10, 4, 14, 2, 3, 4, 3, 2],
        )[0]()
        self.listen()
        self.check()

    def speak(self) -> None:
        client = self.random.choice(self.clients)
        if not client.waits:
            self.play << client.request()

    def commit(self) -> None:
        client = self.random.choice(self.clients)
        owned = [(topic, p) for topic, rows in client.owned.items() for p in rows]
        if not owned or client.waits or not client.epoch:
            return
        topic, partition = self.random.choice(owned)
        self.attempted.append((topic, partition))
        self.play << commit(
            f"commit {len(self.attempted)}",
            len(self.attempted),
            topic=topic,
            partition=partition,
            topic_id=topic_id(topic),
            member=False,
            member_id=client.name,
            generation_id_or_member_epoch=client.epoch,
            group_instance_id=client.instance,
        )

    def lose(self) -> None:
        """The answer does not arrive; the client asks again, and tells everything."""
        client = self.random.choice(self.clients)
        if client.waits:
            return
        self.play << client.request(hears=False)
        client.tells_all = True

    def pass_time(self) -> None:
        seconds = self.random.choice([0.1, 1, 3, 7, 20, 40])
        self.play.pass_time(seconds)

    def crash(self) -> None:
        self.random.choice(self.clients).restart()

    def go(self) -> None:
        client = self.random.choice(self.clients)
        if client.waits or not client.epoch:
            return
        away = -2 if client.instance is not None and self.random.random() < 0.7 else -1
        self.play << beat("nobody", away, member_id=client.name, instance_id=client.instance)
        client.restart()

    def disturb(self) -> None:
        log = self.play.log
        what = self.random.randrange(6)
        if what == 0:
            log.failures.append(KafkaError(self.random.choice([E.NOT_ENOUGH_REPLICAS, E.MESSAGE_TOO_LARGE])))
        elif what == 1:
            log.fail_after_write.append(KafkaError(E.KAFKA_STORAGE_ERROR))
        elif what == 2:
            log.auto_commit = not log.auto_commit
        elif what == 3:
            log.commit(TP)
        else:
            self.play.reload()

    def change(self) -> None:
        """Another subscription."""
        client = self.random.choice(self.clients)
        client.topics = self.random.sample(["t", "u", "v", "w"], self.random.randint(0, 3))
        client.regex = self.random.choice([None, None, "t|w.*", "nothing"])
        client.tells_all = client.changed = True

    def alter(self) -> None:
        """Other topics."""
        name = self.random.choice(["t", "u", "v", "w1"])
        if name in self.counts and self.random.random() < 0.3:
            del self.counts[name]
        else:
            self.counts[name] = self.counts.get(name, 0) + self.random.randint(1, 2)
        self.play.set_topics(self.counts)

    # -- what comes of it

    def listen(self) -> None:
        while self.play.context.state == "loading":
            self.play.context.load_step()
        for actor, answers in self.play.unread().items():
            self.play.inbox[actor].clear()
            if actor.startswith("commit ") and not self.is_refused(answers[0]):
                offset = int(actor.split()[1])
                key = self.attempted[offset - 1]
                self.acknowledged[key] = max(offset, self.acknowledged.get(key, 0))
            for client in self.clients:
                if client.name == actor and client.waits:
                    for answer in answers:
                        client.hear(answer)

    def is_refused(self, answer: Any) -> bool:
        return isinstance(answer, Failure) or bool(answer.topics[0].partitions[0].error_code)

    def check(self) -> None:
        if self.play.log.auto_commit:
            for (topic, partition), offset in self.acknowledged.items():
                row = fetched(self.play, topic=topic, partition=partition, topic_id=topic_id(topic))
                assert row.committed_offset >= offset, "an acknowledged commit went back"
        group = self.play.group
        if not isinstance(group, ConsumerGroup):
            return
        owners: dict[Any, str] = {}
        for _, member in group.members.items():
            for owned in (member.owned, member.revoking):
                for key in pairs(owned):
                    assert owners.setdefault(key, member.member_id) == member.member_id, "two owners by our word"
        believers: dict[tuple[str, int], str] = {}
        for client in self.clients:
            if client.name not in group.members or not client.epoch:
                continue  # it will hear that it is none
            for topic, rows in client.owned.items():
                for partition in rows:
                    other = believers.setdefault((topic, partition), client.name)
                    assert other == client.name, f"{other} and {client.name} both consume {topic}-{partition}"
        assert group.epochs.group >= group.epochs.assignment
        if self.play.log.auto_commit:
            assert group.epochs.group >= self.epoch or not group.epochs.group
            self.epoch = group.epochs.group

    def settle(self) -> None:
        """Everything works again, and everyone behaves."""
        play = self.play
        play.log.failures.clear()
        play.log.fail_after_write.clear()
        play.log.auto_commit = True
        play.config.group_consumer_max_size = 2**31 - 1
        play.log.commit(TP)
        play.reload()
        for client in self.clients:
            # An answer that was under way when the partition moved is lost, so the next request tells everything.
            client.tells_all = client.tells_all or client.waits
            client.waits = False
        self.listen()
        for _ in range(200):
            for client in self.clients:
                play << client.request()
                self.listen()
            play.pass_time(1)
            self.listen()
            self.check()
            if self.is_settled():
                return
        raise AssertionError(f"{play.group} did not settle: {[vars(client) for client in self.clients]}")

    def is_settled(self) -> bool:
        group = self.play.group
        return (
            isinstance(group, ConsumerGroup)
            and group.state == STABLE
            and set(group.members) == {client.name for client in self.clients}
            and all(client.epoch == group.epochs.group for client in self.clients)
            and set(group.patterns) == {client.regex for client in self.clients if client.regex}
        )

    def check_end(self) -> None:
        group = self.play.consumers
        wanted = {
            (topic, partition)
            for _, member in group.members.items()
            for topic in group.topics_of(member)
            for partition in range(self.counts.get(topic, 0))
        }
        consumed = [(topic, p) for client in self.clients for topic, rows in client.owned.items() for p in rows]
        assert sorted(consumed) == sorted(wanted)
        subscriptions = {group.topics_of(member) for _, member in group.members.items()}
        if len(subscriptions) == 1 and self.play.config.group_consumer_assignors[0] == "uniform":
            loads = [sum(map(len, client.owned.values())) for client in self.clients]
            assert max(loads) - min(loads) <= 1, loads


@pytest.mark.parametrize("seed", range(SEEDS))
def test_run(seed: int) -> None:
    run = Run(seed)
    for _ in range(STEPS):
        run.step()
    run.settle()
    run.check_end()
