"""Seeded runs of classic groups: members join, stall, leave, crash and lie; see `simulation` for what must hold.

In the end every request was answered, the group is stable, and each partition has one owner.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, ClassVar

import pytest

from pykbroker.coordinator.group.classic_group import EMPTY, PREPARING_REBALANCE, STABLE, ClassicGroup
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.plays import Failure, GroupPlay, heartbeat, join, leave, sync
from tests.coordinator.group.simulation import Client, Event, GroupRun
from tests.coordinator.simulation import seeds

PARTITIONS = 4
RANGE = b"\0\1\0\0\0\1\0\1t\0\0\0\0"  # a subscription to t


class ClassicClient(Client):
    """Eager: it gives everything back before it joins again."""

    def __init__(self, base: str, random: Random) -> None:
        super().__init__(base, random)
        self.version = random.choice([1, 3, 5, 9])
        if self.version >= 5 and random.random() < 0.3:
            self.instance = f"i-{base}"
        self.protocols = {"range": RANGE, "sticky": b""}

    def abandon(self) -> None:
        super().abandon()
        self.join_again()

    def join_again(self) -> None:
        self.epoch = -1
        self.leads: list[str] | None = None
        self.is_assigned = False

    @property
    def is_in(self) -> bool:
        return self.epoch >= 0 and self.is_assigned

    def ask(self, run: GroupRun) -> Event:
        if self.epoch < 0:
            self.waiting = "join"
            return join(
                self.name,
                version=self.version,
                member_id=self.member_id,
                instance=self.instance,
                protocols=self.protocols,
                session=self.random.choice([6000, 10_000, 30_000]),
                rebalance=self.random.choice([5000, 20_000, 60_000]),
            )
        who: dict[str, Any] = {
            "generation": self.epoch,
            "member_id": self.member_id,
            "group_instance_id": self.instance,
        }
        if not self.is_assigned:
            self.waiting = "sync"
            run.play.ids.update({member_id: member_id for member_id in self.leads or ()})
            return sync(self.name, self.shares(), **who)
        self.waiting = "heartbeat"
        return heartbeat(self.name, **who)

    def shares(self) -> dict[str, bytes]:
        """A leader's, of the partitions in turn."""
        shares: dict[str, bytes] = {}
        for partition in range(PARTITIONS if self.leads else 0):
            assert self.leads is not None
            owner = self.leads[partition % len(self.leads)]
            shares[owner] = shares.get(owner, b"") + bytes([partition])
        return shares

    def hear(self, answers: Sequence[Any]) -> None:
        for answer in answers:
            # An operation that failed fails, and its reply says so as well.
            if not (isinstance(answer, Failure) and self.waiting in ("join", "sync") and len(answers) > 1):
                self.hear_one(answer)

    def hear_one(self, answer: Any) -> None:
        kind, self.waiting = self.waiting, None
        code = getattr(answer, "error_code", 0)
        if kind == "join" and code in (E.NONE, E.MEMBER_ID_REQUIRED) and not isinstance(answer, Failure):
            self.member_id = answer.member_id
            if not code:
                self.epoch = answer.generation_id
                leads = answer.leader == answer.member_id and not answer.skip_assignment
                self.leads = [member.member_id for member in answer.members] if leads else None
                self.is_assigned = False
        elif kind == "sync" and not code:
            self.owned = {"t": list(answer.assignment)}
            self.is_assigned = True
        elif code in (E.UNKNOWN_MEMBER_ID, E.FENCED_INSTANCE_ID):
            self.abandon()
        elif code in (E.REBALANCE_IN_PROGRESS, E.ILLEGAL_GENERATION) or (kind == "sync" and code):
            self.join_again()

    def leave(self, run: GroupRun) -> Event:
        run.play.ids["leaver"] = self.member_id
        return leave("leaver")


class Run(GroupRun):
    ACTIONS: ClassVar = {
        "speak": 30,
        "pass_time": 14,
        "crash": 2,
        "go": 2,
        "commit": 8,
        "refuse": 2,
        "lag": 1,
        "move": 2,
        "catch_up": 6,
        "change": 1,
    }  # fmt: skip

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.play = GroupPlay(
            group_initial_rebalance_delay_ms=self.random.choice([0, 3000]),
            group_max_size=self.random.choice([2, 4, 2**31 - 1]),
        )
        self.play.forgives_unwritten_empty = True
        self.clients = [ClassicClient(name, self.random) for name in "abcde"[: self.random.randint(1, 5)]]

    def change(self) -> None:
        """Another subscription, which makes it join again."""
        client = self.some_client()
        client.protocols = {"range": RANGE + bytes([self.random.randrange(256)]), "sticky": b""}
        if client.waiting is None:
            client.join_again()

    def check(self) -> None:
        super().check()
        if isinstance(self.play.group, ClassicGroup):
            bookkeeping(self.play.group)

    def beliefs(self, group: Any) -> Iterator[tuple[Client, Any]]:
        """Eager members of one generation; those of an old one are about to give everything back."""
        for client, key in super().beliefs(group):
            yield client, (client.epoch, key)

    def settle(self) -> None:
        self.play.config.group_max_size = 2**31 - 1
        super().settle()

    def is_settled(self) -> bool:
        group = self.play.group
        return (
            isinstance(group, ClassicGroup)
            and group.state == STABLE
            and set(group.members) == {client.member_id for client in self.clients}
            and all(client.epoch == group.generation_id and client.is_assigned for client in self.clients)
        )

    def check_end(self) -> None:
        owned = [partition for client in self.clients for _, partition in client.partitions]
        assert sorted(owned) == list(range(PARTITIONS))


def bookkeeping(group: ClassicGroup) -> None:
    members = group.members.values()
    assert group.waiting == sum(member.awaiting_join is not None for member in members)
    counts: dict[str, int] = {}
    for member in members:
        for name, _ in member.protocols:
            counts[name] = counts.get(name, 0) + 1
    assert group.supported == counts
    assert {m.instance_id: m.member_id for m in members if m.is_static} == group.static_members
    assert (group.leader_id in group.members) if group.members else group.leader_id is None
    assert not group.members.keys() & group.pending_join.keys()
    assert group.pending_sync.keys() <= group.members.keys()
    if group.state == EMPTY:
        assert not group.members
    if group.state == PREPARING_REBALANCE:
        assert not any(member.awaiting_sync for member in members)


@pytest.mark.parametrize("seed", seeds(150))
def test_run(seed: int) -> None:
    Run(seed).run()
