"""Seeded runs of streams groups: members of several processes join, stall, crash and leave, answers get lost, topics
come, grow and go, standbys are asked for and not; see `simulation` for what must hold.

No active task has two owners, and no process has a task twice. In the end every task is processed once; for that, who
has missed an answer joins once more: as Kafka 4.3.1 does, tasks are told only in the answer that changes them.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, ClassVar

import pytest

from pykbroker.coordinator.context import ACTIVE
from pykbroker.coordinator.group.streams_group import STABLE, StreamsGroup
from pykbroker.coordinator.group.streams_member import StreamsMember
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.plays import TP, Failure
from tests.coordinator.group.simulation import Client, Event, GroupRun
from tests.coordinator.group.streams_plays import StreamsPlay, Tasks, beat, keeps_state, told_tasks
from tests.coordinator.simulation import seeds

READS = {"0": "t", "1": "u"}
FATAL = (E.UNKNOWN_MEMBER_ID, E.FENCED_MEMBER_EPOCH, E.GROUP_ID_NOT_FOUND, E.INVALID_REQUEST)
FITTING = {"t": 4, "u": 3, "tc": 4}


class StreamsClient(Client):
    """A thread of an application: it gives back first, says so, and begins with what is new at once."""

    def __init__(self, base: str, random: Random) -> None:
        self.standby: Tasks = {}
        self.missed = False  # an answer, and maybe tasks
        super().__init__(base, random)
        self.process = random.choice(["p1", "p2", "p3"])

    def abandon(self) -> None:
        super().abandon()
        self.member_id = self.name
        self.standby = {}
        self.missed = False
        self.tells_all = True

    @property
    def active(self) -> Tasks:
        return {key: self.owned[topic] for key, topic in READS.items() if topic in self.owned}

    def ask(self, run: GroupRun) -> Event:
        self.waiting = "beat"
        return self.request(self.name)

    def request(self, actor: str) -> Event:
        fields: dict[str, Any] = {"member_id": self.name}
        if self.epoch == 0:
            fields |= {"rebalance_timeout_ms": 8_000, "topology": keeps_state(), "process_id": self.process}
        tells = self.epoch == 0 or self.tells_all or self.random.random() < 0.7
        return beat(actor, self.epoch, self.active if tells else None, self.standby, **fields)

    def hear(self, answers: Sequence[Any]) -> None:
        for answer in answers:
            self.hear_one(answer)

    def hear_one(self, answer: Any) -> None:
        self.waiting = None
        if isinstance(answer, Failure):
            # A task of a topology that was, before its topics shrank, is no reason to go on with it.
            if answer.error_code in FATAL:
                self.abandon()
            else:
                self.tells_all = self.missed = True
            return
        response = answer.response
        self.epoch = response.member_epoch
        self.tells_all = False
        active = told_tasks(response.active_tasks)
        if active is not None:
            self.owned = {READS[key]: partitions for key, partitions in active.items()}
            self.standby = told_tasks(response.standby_tasks) or {}

    def forget_lost(self) -> None:
        super().forget_lost()
        self.tells_all = self.missed = True

    def leave(self, run: GroupRun) -> Event:
        return beat("nobody", -1, member_id=self.name)


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
        "alter": 2,
        "configure": 2,
    }  # fmt: skip
    PAUSES = (0.1, 0.5, 1, 3, 5, 12)

    play: StreamsPlay
    streams_epoch = 0
    is_settling = False

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.counts = dict(FITTING)
        self.play = StreamsPlay(
            self.counts,
            group_streams_assignment_interval_ms=self.random.choice([0, 1000]),
            group_streams_initial_rebalance_delay_ms=self.random.choice([0, 3000]),
            group_streams_num_standby_replicas=self.random.randint(0, 2),
            group_streams_session_timeout_ms=12_000,
            group_streams_max_size=self.random.choice([3, 2**31 - 1]),
        )
        self.clients = [StreamsClient(name, self.random) for name in "abcde"[: self.random.randint(1, 5)]]

    def lose(self) -> None:
        """The answer does not arrive; the client asks again, and tells everything."""
        client = self.some_client()
        if client.waiting is None:
            client.request("nobody")(self.play)
            client.tells_all = client.missed = True

    def alter(self) -> None:
        """Topics that do not fit, grow, or fit again."""
        name = self.random.choice(["t", "u", "tc", "tc", "v"])
        if name in self.counts and self.random.random() < 0.3:
            del self.counts[name]
        elif self.random.random() < 0.5:
            self.counts = {**FITTING, "t": self.counts.get("tc", 4)}
        else:
            self.counts[name] = self.counts.get(name, 0) + self.random.randint(1, 2)
        self.play.set_topics(self.counts)

    def configure(self) -> None:
        self.play.config.group_streams_num_standby_replicas = self.random.randint(0, 2)

    def check(self) -> None:
        super().check()
        group = self.play.group
        if self.play.context.state != ACTIVE or not isinstance(group, StreamsGroup):
            return
        self.check_tasks(group)
        epochs = group.epochs
        assert epochs.group >= epochs.assignment
        if self.play.log.watermarks.get(TP, 0) == self.play.log.end(TP):
            assert epochs.group >= self.streams_epoch or epochs.group <= 2, "the group's epoch went back"
            self.streams_epoch = epochs.group

    def check_tasks(self, group: StreamsGroup) -> None:
        owners: dict[tuple[str, int], str] = {}
        by_process: dict[tuple[str, str, int], str] = {}
        for _, member in group.members.items():
            for kind, task in tasks_of(member):
                if kind == "active":
                    assert owners.setdefault(task, member.member_id) == member.member_id, "two owners by our word"
                what = f"{kind} of {member.member_id}"
                assert by_process.setdefault((member.process_id, *task), what) == what, "a process has a task twice"

    def settle(self) -> None:
        self.play.config.group_streams_max_size = 2**31 - 1
        self.is_settling = True
        self.counts = dict(FITTING)
        self.play.set_topics(self.counts)
        super().settle()

    def say(self, client: StreamsClient) -> None:
        if client.missed and self.is_settling:
            client.abandon()
        super().say(client)

    def is_settled(self) -> bool:
        group = self.play.group
        return (
            isinstance(group, StreamsGroup)
            and group.state == STABLE
            and set(group.members) == {client.name for client in self.clients}
            and all(client.epoch == group.epochs.group for client in self.clients)
        )

    def check_end(self) -> None:
        wanted = [(topic, partition) for topic in READS.values() for partition in range(FITTING[topic])]
        assert sorted(key for client in self.clients for key in client.partitions) == sorted(wanted)
        loads = [len(client.partitions) for client in self.clients]
        if not self.play.config.group_streams_num_standby_replicas:
            assert max(loads) - min(loads) <= len(self.clients), loads


def tasks_of(member: StreamsMember) -> Iterator[tuple[str, tuple[str, int]]]:
    for tasks in (member.held, member.revoking):
        for kind, rows in (("active", tasks.active), ("standby", tasks.standby), ("warmup", tasks.warmup)):
            yield from ((kind, (key, partition)) for key, partitions in rows.items() for partition in partitions)


@pytest.mark.parametrize("seed", seeds(15))
def test_run(seed: int) -> None:
    Run(seed).run()
