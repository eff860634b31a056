"""Seeded runs of groups in which classic and new members come and go, so that the group changes its protocol over and
over; see `simulation` for what must hold. In the end everyone consumes.

The classic members are cooperative: they keep what they have while they join again.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest

from pykbroker.coordinator.context import ACTIVE
from pykbroker.coordinator.group.classic_group import STABLE, ClassicGroup
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.subscription import encode_assignment, parse_assignment, parse_subscription
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.consumer_plays import ConsumerPlay, beat, topic_id
from tests.coordinator.group.plays import Failure, heartbeat, join, leave, sync
from tests.coordinator.group.simulation import Client, Event, GroupRun
from tests.coordinator.group.test_consumer_classic import subscription
from tests.coordinator.simulation import seeds

PARTITIONS = 4


class NewClient(Client):
    def abandon(self) -> None:
        super().abandon()
        self.member_id = self.name

    def ask(self, run: GroupRun) -> Event:
        self.waiting = "beat"
        return beat(self.name, self.epoch, dict(self.owned), rebalance_timeout_ms=30_000, subscribed_topic_names=["t"])

    def hear(self, answers: Sequence[Any]) -> None:
        self.waiting = None
        answer = answers[-1]
        if not getattr(answer, "error_code", 0):
            self.epoch = answer.member_epoch
            if answer.assignment is not None:
                self.owned = {"t": sorted(p for row in answer.assignment.topic_partitions for p in row.partitions)}
        elif answer.error_code in (E.UNKNOWN_MEMBER_ID, E.FENCED_MEMBER_EPOCH, E.GROUP_ID_NOT_FOUND):
            self.abandon()

    def leave(self, run: GroupRun) -> Event:
        return beat("nobody", -1, member_id=self.name)


class OldClient(Client):
    def abandon(self) -> None:
        super().abandon()
        self.step = "join"
        self.leads: dict[str, set[int]] | None = None
        self.told_at = -1  # the generation in which it heard what it owns
        self.is_surprised = False  # since then, by something that may take it away

    def ask(self, run: GroupRun) -> Event:
        self.waiting = self.step
        if self.step == "join":
            data = subscription(owned=tuple(self.owned.get("t", ())))
            return join(
                self.name,
                protocols={"range": data},
                member_id=self.member_id,
                session=20_000,
                rebalance=20_000,
            )
        who: dict[str, Any] = {"generation": self.epoch, "member_id": self.member_id}
        if self.step == "sync":
            return sync(self.name, self.shares(run), **who)
        return heartbeat(self.name, **who)

    def shares(self, run: GroupRun) -> dict[str, bytes] | None:
        """A leader's."""
        if self.leads is None:
            return None
        run.play.ids.update({member_id: member_id for member_id in self.leads})
        topics = run.play.image.topics
        return {
            member_id: encode_assignment({topic_id("t"): rows}, topics, b"\0\1")
            for member_id, rows in cooperative(self.leads).items()
        }

    def hear(self, answers: Sequence[Any]) -> None:
        answer = answers[-1]
        kind, self.waiting = self.waiting, None
        code = getattr(answer, "error_code", 0)
        if isinstance(answer, Failure) or code:
            if code == E.MEMBER_ID_REQUIRED:
                self.member_id = answer.member_id
            elif code in (E.UNKNOWN_MEMBER_ID, E.FENCED_INSTANCE_ID, E.INCONSISTENT_GROUP_PROTOCOL):
                self.abandon()
            elif code in (E.REBALANCE_IN_PROGRESS, E.ILLEGAL_GENERATION):
                self.step = "join"
        elif kind == "join":
            self.member_id, self.epoch, self.step = answer.member_id, answer.generation_id, "sync"
            leads = answer.leader == answer.member_id and answer.members
            self.leads = {row.member_id: owned_by(row.metadata) for row in answer.members} if leads else None
        elif kind == "sync":
            rows = parse_assignment(answer.assignment).assigned_partitions if answer.assignment else []
            assigned = {p for row in rows for p in row.partitions}
            gives_back = not assigned.issuperset(self.owned.get("t", ()))
            self.owned, self.told_at, self.is_surprised = {"t": sorted(assigned)}, self.epoch, False
            self.step = "join" if gives_back else "beat"

    def leave(self, run: GroupRun) -> Event:
        run.play.ids["nobody"] = self.member_id
        return leave("nobody")


def owned_by(metadata: bytes) -> set[int]:
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


def epoch_of(group: ConsumerGroup | ClassicGroup, client: Client) -> int:
    if isinstance(group, ClassicGroup):
        return group.generation_id
    return group.members[client.member_id].epoch


class Run(GroupRun):
    ACTIONS: ClassVar = {
        "speak": 40,
        "commit": 6,
        "pass_time": 12,
        "crash": 2,
        "go": 3,
        "replace": 3,
        "refuse": 1,
        "lag": 1,
        "catch_up": 1,
        "move": 2,
    }  # fmt: skip
    PAUSES = (0.1, 1, 3, 7, 20)

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.play = ConsumerPlay(
            {"t": PARTITIONS},
            group_initial_rebalance_delay_ms=0,
            group_consumer_assignment_interval_ms=self.random.choice([0, 1000]),
        )
        kinds = [self.random.choice([NewClient, OldClient]) for _ in range(self.random.randint(1, 4))]
        self.clients = [kind(name, self.random) for kind, name in zip(kinds, "abcd", strict=False)]
        self.kind: type = type(None)  # of the group, when it was looked at last

    def replace(self) -> None:
        """A rolling upgrade, or the way back."""
        index = self.random.randrange(len(self.clients))
        old = self.clients[index]
        if old.is_in and old.waiting is None:
            old.leave(self)(self.play)
        kind = OldClient if isinstance(old, NewClient) else NewClient
        new = kind(old.base, self.random)
        new.number = old.number + 1
        new.abandon()
        self.clients[index] = new

    def check(self) -> None:
        if self.play.context.state == ACTIVE:
            self.note_surprises(self.play.group)
        super().check()

    def note_surprises(self, group: Any) -> None:
        """What a classic member owns it may lose unasked, as in Kafka, in the generations after the group has changed
        its protocol or thrown it out. Kafka's classes, and the dialogue that Kafka 4.3.1 answers the same:
        ConsumerGroup.fromClassicGroup takes the assignments that GroupMetadataManager.prepareRebalance has emptied
        (an_upgrade_amid_a_rebalance_knows_no_owners); ClassicGroup.fromConsumerGroup writes targets, not what is being
        revoked (a_downgrade_forgets_what_is_being_revoked); classicGroupJoinToConsumerGroup creates whoever comes by
        an id, even one thrown out (a_classic_member_comes_back_by_its_old_id).
        """
        kind, self.kind = self.kind, type(group)
        for client in self.clients:
            if isinstance(client, OldClient):
                is_out = group is None or client.member_id not in group.members
                client.is_surprised = client.is_surprised or is_out or kind is not self.kind

    def beliefs(self, group: Any) -> Iterator[tuple[Client, Any]]:
        for client, key in super().beliefs(group):
            is_told = isinstance(client, NewClient) or client.told_at == epoch_of(group, client)
            if is_told or not client.is_surprised:
                yield client, key

    def is_settled(self) -> bool:
        group = self.play.group
        consumed = sorted(partition for client in self.clients for _, partition in client.partitions)
        return (
            isinstance(group, (ClassicGroup, ConsumerGroup))
            and group.state == STABLE
            and set(group.members) == {client.member_id for client in self.clients}
            and consumed == list(range(PARTITIONS))
            and all(client.step == "beat" for client in self.clients if isinstance(client, OldClient))
        )

    def check_end(self) -> None:
        kinds = {type(client) for client in self.clients}
        assert isinstance(self.play.group, ConsumerGroup) == (kinds != {OldClient})


@pytest.mark.parametrize("seed", seeds(10))
def test_run(seed: int) -> None:
    Run(seed).run()
