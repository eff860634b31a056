"""Seeded runs of consumer groups: members join, stall, crash, leave and change their minds, answers get lost, topics
come, grow and go; see `simulation` for what must hold.

In the end everything subscribed to is consumed, evenly.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

import pytest

from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.modern_group import STABLE
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.consumer_plays import ConsumerPlay, beat
from tests.coordinator.group.plays import Failure
from tests.coordinator.group.simulation import Client, Event, GroupRun
from tests.coordinator.simulation import seeds


class ConsumerClient(Client):
    """It gives back first, says so, and begins with what is new at once."""

    def __init__(self, base: str, random: Random) -> None:
        super().__init__(base, random)
        self.instance = f"i-{base}" if random.random() < 0.3 else None
        self.topics = random.sample(["t", "u", "v"], random.randint(1, 3))
        self.regex: str | None = random.choice([None, None, None, "t|w.*"])

    def abandon(self) -> None:
        super().abandon()
        self.member_id = self.name
        self.tells_all = True
        self.changed = False  # since the last request

    def ask(self, run: GroupRun) -> Event:
        self.waiting = "beat"
        return self.request(self.name)

    def request(self, actor: str) -> Event:
        self.changed = False
        fields: dict[str, Any] = {"instance_id": self.instance}
        if self.epoch == 0 or self.tells_all:
            fields |= {
                "rebalance_timeout_ms": 30_000,
                "subscribed_topic_names": list(self.topics),
                "subscribed_topic_regex": self.regex or "",
            }
        return beat(actor, self.epoch, dict(self.owned), member_id=self.name, **fields)

    def hear(self, answers: Sequence[Any]) -> None:
        for answer in answers:
            self.hear_one(answer)

    def hear_one(self, answer: Any) -> None:
        self.waiting = None
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

    def forget_lost(self) -> None:
        super().forget_lost()
        self.tells_all = True

    def leave(self, run: GroupRun) -> Event:
        away = -2 if self.instance is not None and self.random.random() < 0.7 else -1
        return beat("nobody", away, member_id=self.name, instance_id=self.instance)


class Run(GroupRun):
    ACTIONS: ClassVar = {
        "speak": 40,
        "commit": 10,
        "lose": 4,
        "pass_time": 14,
        "crash": 2,
        "go": 3,
        "refuse": 1,
        "lag": 1,
        "catch_up": 1,
        "move": 2,
        "change": 3,
        "alter": 2,
    }  # fmt: skip
    PAUSES = (0.1, 1, 3, 7, 20, 40)

    play: ConsumerPlay

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.counts = {"t": 4, "u": 3}
        self.play = ConsumerPlay(
            self.counts,
            group_consumer_assignment_interval_ms=self.random.choice([0, 1000]),
            group_consumer_max_size=self.random.choice([3, 2**31 - 1]),
            group_consumer_assignors=self.random.choice([["uniform", "range"], ["range"]]),
        )
        self.clients = [ConsumerClient(name, self.random) for name in "abcde"[: self.random.randint(1, 5)]]

    def lose(self) -> None:
        """The answer does not arrive; the client asks again, and tells everything."""
        client = self.some_client()
        if client.waiting is None:
            client.request("nobody")(self.play)
            client.tells_all = True

    def change(self) -> None:
        """Another subscription."""
        client = self.some_client()
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

    def settle(self) -> None:
        self.play.config.group_consumer_max_size = 2**31 - 1
        super().settle()

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
        assert sorted(key for client in self.clients for key in client.partitions) == sorted(wanted)
        subscriptions = {group.topics_of(member) for _, member in group.members.items()}
        if len(subscriptions) == 1 and self.play.config.group_consumer_assignors[0] == "uniform":
            loads = [len(client.partitions) for client in self.clients]
            assert max(loads) - min(loads) <= 1, loads


@pytest.mark.parametrize("seed", seeds(10))
def test_run(seed: int) -> None:
    Run(seed).run()
