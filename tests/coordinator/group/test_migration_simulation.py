"""Seeded runs of groups in which classic and new members come and go, so that the group changes its protocol over and
over: no partition has two owners, memory equals the replayed log, and in the end everyone consumes.

The classic members are cooperative: they keep what they have while they join again. PYKBROKER_SEEDS=10000 runs more.
"""

import os
from random import Random
from typing import Any

import pytest

from pykbroker.coordinator.group.classic_group import STABLE, ClassicGroup
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.consumer_member import pairs
from pykbroker.coordinator.group.subscription import encode_assignment, parse_assignment
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.consumer_plays import ConsumerPlay, beat, topic_id
from tests.coordinator.group.plays import TP, Failure, GroupPlay, heartbeat, join, leave, sync
from tests.coordinator.group.test_consumer_classic import subscription

SEEDS = int(os.environ.get("PYKBROKER_SEEDS", "25"))
STEPS = 80
PARTITIONS = 4


class Client:
    """What both kinds have in common; `owned` are partitions of t."""

    def __init__(self, name: str) -> None:
        self.base = name
        self.number = 0
        self.restart()

    @property
    def name(self) -> str:
        return f"{self.base}{self.number}"

    def restart(self) -> None:
        self.number += 1
        self.waiting: str | None = None
        self.abandon()

    def abandon(self) -> None:
        self.owned: set[int] = set()
        self.epoch = 0

    def member_id(self, play: GroupPlay) -> str:
        return self.name

    def says(self, play: GroupPlay) -> Any:
        raise NotImplementedError

    def hear(self, answer: Any) -> None:
        raise NotImplementedError

    def leaves(self, play: GroupPlay) -> Any:
        raise NotImplementedError


class NewClient(Client):
    def says(self, play: GroupPlay) -> Any:
        self.waiting = "beat"
        owned = {"t": sorted(self.owned)} if self.owned else {}
        return beat(self.name, self.epoch, owned, rebalance_timeout_ms=30_000, subscribed_topic_names=["t"])

    def hear(self, answer: Any) -> None:
        self.waiting = None
        if not getattr(answer, "error_code", 0):
            self.epoch = answer.member_epoch
            if answer.assignment is not None:
                self.owned = {p for row in answer.assignment.topic_partitions for p in row.partitions}
        elif answer.error_code in (E.UNKNOWN_MEMBER_ID, E.FENCED_MEMBER_EPOCH, E.GROUP_ID_NOT_FOUND):
            self.abandon()

    def leaves(self, play: GroupPlay) -> Any:
        return beat("nobody", -1, member_id=self.name)


class OldClient(Client):
    def abandon(self) -> None:
        super().abandon()
        self.known_as = ""
        self.step = "join"
        self.leads: dict[str, set[int]] | None = None

    def member_id(self, play: GroupPlay) -> str:
        return self.known_as

    def says(self, play: GroupPlay) -> Any:
        self.waiting = self.step
        if self.step == "join":
            data = subscription(owned=tuple(sorted(self.owned)))
            return join(
                self.name,
                protocols={"range": data},
                member_id=self.known_as,
                session=20_000,
                rebalance=20_000,
            )
        who = {"generation": self.epoch, "member_id": self.known_as}
        if self.step == "sync":
            shares = None
            if self.leads is not None:
                shares = {
                    member_id: encode_assignment({topic_id("t"): rows}, play.image.topics, b"\0\1")
                    for member_id, rows in cooperative(self.leads).items()
                }
                play.ids.update({member_id: member_id for member_id in shares})
            return sync(self.name, shares, **who)
        return heartbeat(self.name, **who)

    def hear(self, answer: Any) -> None:
        kind, self.waiting = self.waiting, None
        code = getattr(answer, "error_code", 0)
        if isinstance(answer, Failure) or code:
            if code == E.MEMBER_ID_REQUIRED:
                self.known_as = answer.member_id
            elif code in (E.UNKNOWN_MEMBER_ID, E.FENCED_INSTANCE_ID, E.INCONSISTENT_GROUP_PROTOCOL):
                self.abandon()
            elif code in (E.REBALANCE_IN_PROGRESS, E.ILLEGAL_GENERATION):
                self.step = "join"
        elif kind == "join":
            self.known_as, self.epoch, self.step = answer.member_id, answer.generation_id, "sync"
            leads = answer.leader == answer.member_id and answer.members
            self.leads = {row.member_id: owned_by(row.metadata) for row in answer.members} if leads else None
        elif kind == "sync":
            rows = parse_assignment(answer.assignment).assigned_partitions if answer.assignment else []
            assigned = {p for row in rows for p in row.partitions}
            gives_back = bool(self.owned - assigned)
            self.owned = assigned
            self.step = "join" if gives_back else "beat"

    def leaves(self, play: GroupPlay) -> Any:
        play.ids["nobody"] = self.known_as
        return leave("nobody")


def owned_by(metadata: bytes) -> set[int]:
    from pykbroker.coordinator.group.subscription import parse_subscription

    return {p for row in parse_subscription(metadata).owned_partitions for p in row.partitions}


def cooperative(owned: dict[str, set[int]]) -> dict[str, set[int]]:
    """Nobody gets what another one has yet; who has too much keeps its share."""
    names = sorted(owned)
    shares: dict[str, set[int]] = {}
    for index, name in enumerate(names):
        quota = PARTITIONS // len(names) + (index < PARTITIONS % len(names))
        shares[name] = set(sorted(owned[name])[:quota])
    free = [p for p in range(PARTITIONS) if not any(p in rows for rows in owned.values())]
    for partition in free:
        shares[min(names, key=lambda name: len(shares[name]))].add(partition)
    return shares


class Run:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.play = ConsumerPlay(
            {"t": PARTITIONS},
            group_initial_rebalance_delay_ms=0,
            group_consumer_assignment_interval_ms=self.random.choice([0, 1000]),
        )
        kinds = [self.random.choice([NewClient, OldClient]) for _ in range(self.random.randint(1, 4))]
        self.clients: list[Client] = [kind(name) for kind, name in zip(kinds, "abcd", strict=False)]

    def step(self) -> None:
        self.random.choices(
            [self.speak, self.pass_time, self.crash, self.go, self.replace, self.disturb], [40, 12, 2, 3, 3, 3]
        )[0]()
        self.listen()
        self.check()

    def speak(self) -> None:
        client = self.random.choice(self.clients)
        if client.waiting is None:
            self.play << client.says(self.play)

    def pass_time(self) -> None:
        self.play.pass_time(self.random.choice([0.1, 1, 3, 7, 20]))

    def crash(self) -> None:
        self.random.choice(self.clients).restart()

    def go(self) -> None:
        client = self.random.choice(self.clients)
        if client.epoch and client.waiting is None:
            self.play << client.leaves(self.play)
            client.restart()

    def replace(self) -> None:
        """A rolling upgrade, or the way back."""
        index = self.random.randrange(len(self.clients))
        old = self.clients[index]
        if old.epoch and old.waiting is None:
            self.play << old.leaves(self.play)
        kind = OldClient if isinstance(old, NewClient) else NewClient
        new = kind(old.base)
        new.number = old.number + 1
        self.clients[index] = new

    def disturb(self) -> None:
        what = self.random.randrange(4)
        if what == 0:
            self.play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
        elif what == 1:
            self.play.log.fail_after_write.append(KafkaError(E.KAFKA_STORAGE_ERROR))
        else:
            self.play.reload()

    def listen(self) -> None:
        play = self.play
        while play.context.state == "loading":
            play.context.load_step()
        for actor, answers in play.unread().items():
            play.inbox[actor].clear()
            for client in self.clients:
                if client.name == actor and client.waiting is not None:
                    client.hear(answers[-1])

    def check(self) -> None:
        group = self.play.group
        if not isinstance(group, ConsumerGroup):
            return
        owners: dict[Any, str] = {}
        for _, member in group.members.items():
            for owned in (member.owned, member.revoking):
                for key in pairs(owned):
                    assert owners.setdefault(key, member.member_id) == member.member_id, "two owners"

    def settle(self) -> None:
        play = self.play
        play.log.failures.clear()
        play.log.fail_after_write.clear()
        play.log.commit(TP)
        play.reload()
        self.listen()
        for client in self.clients:
            client.waiting = None
        for _ in range(300):
            for client in self.clients:
                if client.waiting is None:
                    play << client.says(play)
                    self.listen()
            play.pass_time(1)
            self.listen()
            self.check()
            if self.is_settled():
                return
        raise AssertionError(f"{play.group} did not settle: {[vars(client) for client in self.clients]}")

    def is_settled(self) -> bool:
        group = self.play.group
        consumed = sorted(p for client in self.clients for p in client.owned)
        return (
            isinstance(group, (ClassicGroup, ConsumerGroup))
            and group.state == STABLE
            and set(group.members) == {client.member_id(self.play) for client in self.clients}
            and consumed == list(range(PARTITIONS))
            and all(client.step == "beat" for client in self.clients if isinstance(client, OldClient))
        )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_run(seed: int) -> None:
    run = Run(seed)
    for _ in range(STEPS):
        run.step()
    run.settle()
    kinds = {type(client) for client in run.clients}
    assert isinstance(run.play.group, ConsumerGroup) == (kinds != {OldClient})
