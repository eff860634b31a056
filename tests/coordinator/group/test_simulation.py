"""Seeded runs: members join, stall, leave, crash and lie; the log lags, refuses and moves away; then all behave again.

After every step memory equals the replayed log (scenario 24) and the group's bookkeeping is right; at the end every
request was answered, the group is stable, each partition has one owner, and no acknowledged commit went back.
PYKBROKER_SEEDS=10000 runs more; a failing seed is named by the test's id.
"""

import os
from random import Random
from typing import Any

import pytest

from pykbroker.coordinator.group.classic_group import EMPTY, PREPARING_REBALANCE, STABLE, ClassicGroup
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.plays import (
    TP,
    Failure,
    GroupPlay,
    commit,
    fetched,
    heartbeat,
    join,
    leave,
    sync,
)

SEEDS = int(os.environ.get("PYKBROKER_SEEDS", "150"))
STEPS = 80
PARTITIONS = 4


class Client:
    """A consumer as its library behaves: one request at a time, rejoining when it is told to."""

    def __init__(self, name: str, random: Random) -> None:
        self.name = name
        self.random = random
        self.instance = f"i-{name}" if random.random() < 0.3 else None
        self.version = random.choice([1, 3, 5, 9])
        if self.version < 5:
            self.instance = None
        self.protocols = {"range": b"\0\1\0\0\0\1\0\1t\0\0\0\0", "sticky": b""}
        self.restart()

    def restart(self) -> None:
        """A new process: it knows nothing."""
        self.member_id = ""
        self.generation = -1
        self.leads: list[str] | None = None
        self.assignment: bytes | None = None
        self.waiting: str | None = None

    def next_request(self) -> Any:
        if self.generation < 0:
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
        if self.assignment is None:
            self.waiting = "sync"
            return None  # the run knows how to share out the partitions
        self.waiting = "heartbeat"
        return heartbeat(
            self.name, generation=self.generation, member_id=self.member_id, group_instance_id=self.instance
        )

    def hear(self, answer: Any) -> None:
        kind, self.waiting = self.waiting, None
        code = getattr(answer, "error_code", 0)
        if kind == "join" and code in (E.NONE, E.MEMBER_ID_REQUIRED) and not isinstance(answer, Failure):
            self.member_id = answer.member_id
            if not code:
                self.generation = answer.generation_id
                leads = answer.leader == answer.member_id and not answer.skip_assignment
                self.leads = [member.member_id for member in answer.members] if leads else None
                self.assignment = None
        elif kind == "sync" and not code:
            self.assignment = answer.assignment
        elif code in (E.UNKNOWN_MEMBER_ID, E.FENCED_INSTANCE_ID):
            self.member_id = ""
            self.generation = -1
        elif code in (E.REBALANCE_IN_PROGRESS, E.ILLEGAL_GENERATION) or (kind == "sync" and code):
            self.generation = -1


class Run:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.play = GroupPlay(
            group_initial_rebalance_delay_ms=self.random.choice([0, 3000]),
            group_max_size=self.random.choice([2, 4, 2**31 - 1]),
        )
        self.play.forgives_unwritten_empty = True
        self.clients = [Client(name, self.random) for name in "abcde"[: self.random.randint(1, 5)]]
        self.committed = 0  # the highest acknowledged commit
        self.attempted = 0
        self.crashed: list[str] = []
        self.number = 0

    # -- steps

    def step(self) -> None:
        self.random.choices(
            [self.speak, self.pass_time, self.crash, self.go, self.commit, self.disturb, self.catch_up, self.change],
            [30, 14, 2, 2, 8, 4, 6, 1],
        )[0]()
        self.listen()
        self.check()

    def speak(self) -> None:
        client = self.random.choice(self.clients)
        if client.waiting is None:
            self.ask(client)

    def ask(self, client: Client) -> None:
        request = client.next_request()
        if request is None:
            assignments = {}
            if client.leads is not None:
                for partition in range(PARTITIONS):
                    owner = client.leads[partition % len(client.leads)]
                    assignments[owner] = assignments.get(owner, b"") + bytes([partition])
                self.play.ids.update({member_id: member_id for member_id in client.leads})
            request = sync(
                client.name,
                assignments,
                generation=client.generation,
                member_id=client.member_id,
                group_instance_id=client.instance,
            )
        self.play << request

    def pass_time(self) -> None:
        self.play.pass_time(self.random.choice([0.1, 1, 3, 7, 20, 70]))

    def crash(self) -> None:
        """Its request may be pending for ever; a new process of the same name begins afresh."""
        client = self.random.choice(self.clients)
        client.restart()
        self.number += 1
        client.name = f"{client.name[0]}{self.number}"

    def go(self) -> None:
        client = self.random.choice(self.clients)
        if client.member_id and client.waiting is None:
            self.play.ids[client.name] = client.member_id
            self.play << leave(f"leaver {client.name}")
            leaver = self.play.inbox.get(f"leaver {client.name}")
            if not leaver:
                return
            client.restart()

    def commit(self) -> None:
        client = self.random.choice(self.clients)
        if client.assignment is None or client.waiting is not None:
            return
        self.attempted += 1
        name = f"commit {self.attempted}"
        self.play << commit(
            name,
            self.attempted,
            generation_id_or_member_epoch=client.generation,
            member_id=client.member_id,
            group_instance_id=client.instance,
        )

    def disturb(self) -> None:
        log = self.play.log
        what = self.random.randrange(5)
        if what == 0:
            log.failures.append(KafkaError(self.random.choice([E.NOT_ENOUGH_REPLICAS, E.MESSAGE_TOO_LARGE])))
        elif what == 1:
            log.fail_after_write.append(KafkaError(E.KAFKA_STORAGE_ERROR))
        elif what == 2:
            log.auto_commit = not log.auto_commit
        else:
            self.play.reload()

    def catch_up(self) -> None:
        self.play.log.commit(TP)

    def change(self) -> None:
        """Another subscription, which makes it join again."""
        client = self.random.choice(self.clients)
        client.protocols = {"range": b"\0\1\0\0\0\1\0\1t\0\0\0\0" + bytes([self.random.randrange(256)]), "sticky": b""}
        if client.waiting is None:
            client.generation = -1

    # -- what comes of it

    def listen(self) -> None:
        play = self.play
        while play.context.state == "loading":
            play.context.load_step()
        for actor, answers in play.unread().items():
            play.inbox[actor].clear()
            client = next((client for client in self.clients if client.name == actor), None)
            for answer in answers:
                if client is not None and client.waiting is not None:
                    if isinstance(answer, Failure) and client.waiting in ("join", "sync") and len(answers) > 1:
                        continue  # the operation failed, and its reply says so as well
                    client.hear(answer)
                elif actor.startswith("commit ") and not isinstance(answer, Failure) and not refused(answer):
                    self.committed = max(self.committed, int(actor.split()[1]))

    def check(self) -> None:
        play = self.play
        play.check_log()
        group = play.group
        if isinstance(group, ClassicGroup):
            bookkeeping(group)
        if play.log.auto_commit:
            assert fetched(play, require_stable=True).committed_offset >= self.committed or not self.committed

    def settle(self) -> None:
        """Everything works again, and everyone behaves."""
        play = self.play
        play.log.failures.clear()
        play.log.fail_after_write.clear()
        play.log.auto_commit = True
        play.config.group_max_size = 2**31 - 1
        play.reload()
        play.log.commit(TP)
        self.listen()
        for _ in range(400):
            for client in self.clients:
                if client.waiting is None:
                    self.ask(client)
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
            isinstance(group, ClassicGroup)
            and group.state == STABLE
            and set(group.members) == {client.member_id for client in self.clients}
            and all(client.generation == group.generation_id for client in self.clients)
            and all(client.assignment is not None for client in self.clients)
        )


def refused(answer: Any) -> bool:
    return bool(answer.topics[0].partitions[0].error_code)


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


@pytest.mark.parametrize("seed", range(SEEDS))
def test_run(seed: int) -> None:
    run = Run(seed)
    for _ in range(STEPS):
        run.step()
    run.settle()
    owners = [client.assignment or b"" for client in run.clients]
    assert sorted(b"".join(owners)) == list(range(PARTITIONS))
    assert fetched(run.play).committed_offset >= run.committed or not run.committed
