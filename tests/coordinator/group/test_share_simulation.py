"""Seeded runs of share groups: members join, stall, crash, leave and change their minds, answers get lost, topics come,
grow and go, the persister fails or is not heard of, administrators alter and delete; see `simulation` for the log.

After every step memory equals the replayed log; nobody is assigned what is not initialized, and nothing is taken for
initialized that the persister does not know. In the end everything subscribed to is consumed, evenly.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar

import pytest

from pykbroker.coordinator.context import ACTIVE
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.group.share_offsets import Alteration, Deletion
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
)
from tests.coordinator.group.plays import GROUP, TP, Failure
from tests.coordinator.group.share_plays import SharePlay, beat
from tests.coordinator.group.simulation import Client, Event, GroupRun
from tests.coordinator.simulation import seeds

Key = tuple[Uuid, int]


class ShareClient(Client):
    def __init__(self, base: str, random: Random) -> None:
        super().__init__(base, random)
        self.topics = random.sample(["t", "u", "v"], random.randint(1, 3))

    def abandon(self) -> None:
        super().abandon()
        self.member_id = self.name
        self.tells_all = True

    def ask(self, run: GroupRun) -> Event:
        self.waiting = "beat"
        return self.request(self.name)

    def request(self, actor: str) -> Event:
        topics = self.topics if self.epoch == 0 or self.tells_all else []
        self.tells_all = False
        return beat(actor, self.epoch, *topics, member_id=self.name)

    def hear(self, answers: Sequence[Any]) -> None:
        for answer in answers:
            self.waiting = None
            if not isinstance(answer, Failure):
                self.hear_one(answer.response)
            elif answer.error_code in (E.UNKNOWN_MEMBER_ID, E.FENCED_MEMBER_EPOCH, E.GROUP_ID_NOT_FOUND):
                self.abandon()
            else:
                self.tells_all = True

    def hear_one(self, answer: Any) -> None:
        self.epoch = answer.member_epoch
        if answer.assignment is not None:
            self.owned = {row.topic_id: list(row.partitions) for row in answer.assignment.topic_partitions}

    def forget_lost(self) -> None:
        super().forget_lost()
        self.tells_all = True

    def leave(self, run: GroupRun) -> Event:
        return beat("nobody", -1, member_id=self.name)


class Run(GroupRun):
    ACTIONS: ClassVar = {
        "speak": 40,
        "persist": 16,
        "lose": 4,
        "pass_time": 14,
        "crash": 3,
        "go": 4,
        "refuse": 1,
        "lag": 1,
        "catch_up": 1,
        "move": 2,
        "change": 3,
        "alter": 3,
        "administer": 4,
    }  # fmt: skip
    PAUSES = (0.1, 1, 3, 7, 20, 50)

    play: SharePlay

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.counts: dict[str, int] = {}
        self.ids: dict[str, Uuid] = {}
        self.known: set[Key] = set()  # by the persister
        self.play = SharePlay(
            {},
            group_share_assignment_interval_ms=self.random.choice([0, 1000]),
            group_share_max_size=self.random.choice([3, 200]),
        )
        for name in ("t", "u"):
            self.create(name)
        self.clients = [ShareClient(name, self.random) for name in "abcdef"[: self.random.randint(1, 6)]]

    # -- topics

    def create(self, name: str) -> None:
        self.counts[name] = self.random.randint(1, 5)
        self.ids[name] = Uuid(self.random.randbytes(16))
        self.play.set_topics(self.counts, self.ids)

    def alter(self) -> None:
        """Other topics."""
        name = self.random.choice(["t", "u", "v"])
        if name not in self.counts:
            self.create(name)
        elif self.random.random() < 0.3:
            del self.counts[name]
            gone = self.ids.pop(name)
            self.play.set_topics(self.counts, self.ids)
            self.known = {key for key in self.known if key[0] != gone}
            self.play.context.write_eventually(lambda shard: shard.topics_deleted([(name, gone)]))
        else:
            self.counts[name] += 1
            self.play.set_topics(self.counts, self.ids)

    def change(self) -> None:
        """Another subscription."""
        client = self.some_client()
        client.topics = self.random.sample(["t", "u", "v"], self.random.randint(1, 3))
        client.tells_all = True

    def lose(self) -> None:
        """The answer does not arrive; the client asks again, and tells everything."""
        client = self.some_client()
        if client.waiting is None:
            client.request("nobody")(self.play)
            client.tells_all = True

    # -- the persister

    def persist(self) -> None:
        """It does what it was asked for, or fails, or does it and is not heard of."""
        if not self.play.asked:
            return
        request = self.play.asked.pop(0)
        partitions = {row.topic_id: frozenset(p.partition for p in row.partitions) for row in request.topics}
        ids = set(self.ids.values())
        fate = self.random.random()
        if fate < 0.2 or not partitions.keys() <= ids:
            note = "give_up"
        else:
            self.known |= {(topic_id, p) for topic_id, rows in partitions.items() for p in rows}
            note = "complete"
        if fate < 0.9:
            self.play.run("nobody", lambda shard: getattr(shard.shares.initialization, note)(GROUP, partitions))

    # -- administrators, who wait for every answer

    def administer(self) -> None:
        offsets = self.random.choice([self.alter_offsets, self.delete_offsets, self.delete_group])
        offsets()

    def alter_offsets(self) -> None:
        name = self.random.choice(["t", "u", "v"])
        rows = [AlterShareGroupOffsetsRequestPartition(partition_index=p, start_offset=1) for p in range(3)]
        topics = [AlterShareGroupOffsetsRequestTopic(topic_name=name, partitions=rows)]
        self.play.run("admin", lambda shard: shard.shares.offsets.alter(GROUP, topics))

    def delete_offsets(self) -> None:
        self.play.run("admin", lambda shard: shard.shares.offsets.begin_delete(GROUP, ["t", "u"]))

    def delete_group(self) -> None:
        self.play.run("admin", lambda shard: shard.shares.offsets.begin_delete_groups([GROUP]))

    def hear_admin(self, answer: Any) -> None:
        if isinstance(answer, Alteration):
            self.play.asked.insert(0, answer.request)
        elif isinstance(answer, Deletion):
            self.forget(answer.partitions)
            gone = list(answer.partitions)
            self.play.run("nobody", lambda shard: shard.shares.offsets.complete_delete(GROUP, gone))
        elif isinstance(answer, dict) and not isinstance(answer.get(GROUP), int):
            self.forget(answer.get(GROUP) or {})
            self.play.run("nobody", lambda shard: shard.delete_groups([GROUP]))

    def forget(self, partitions: Mapping[Uuid, frozenset[int]]) -> None:
        self.known -= {(topic_id, p) for topic_id, rows in partitions.items() for p in rows}

    # -- what comes of it

    def listen(self) -> None:
        for answer in self.play.unread().get("admin", []):
            self.hear_admin(answer)
        self.play.inbox.pop("admin", None)
        super().listen()

    def check(self) -> None:
        if self.play.context.state != ACTIVE:
            return
        self.play.check_log()
        group = self.play.group
        if not isinstance(group, ShareGroup):
            self.group_epoch = 0
            return
        epochs, log = group.epochs, self.play.log
        assert epochs.group >= epochs.assignment
        if log.watermarks.get(TP, 0) == log.end(TP):
            assert epochs.group >= self.group_epoch, "the group's epoch went back"
            self.group_epoch = epochs.group
            self.check_initialized(group)

    def check_initialized(self, group: ShareGroup) -> None:
        states = group.states
        done = {} if states is None else states.initialized
        existing = {topic_id: state for topic_id, state in done.items() if topic_id in self.ids.values()}
        for topic_id, state in existing.items():
            for partition in state.partitions:
                assert (topic_id, partition) in self.known, "the persister does not know what is initialized"
        for _, member in group.members.items():
            for topic_id, rows in member.assigned.items():
                if topic_id in self.ids.values():
                    assert topic_id in done, "assigned, and not initialized"
                    assert rows <= done[topic_id].partitions, "assigned, and not initialized"

    # -- the whole

    def settle(self) -> None:
        self.play.config.group_share_max_size = 200
        self.play.asked.clear()
        super().settle()

    def is_settled(self) -> bool:
        if self.play.asked:
            partitions = self.play.asked
            self.play.asked = []
            for request in partitions:
                self.initialize(request)
            return False
        group = self.play.group
        return (
            isinstance(group, ShareGroup)
            and set(group.members) == {client.name for client in self.clients}
            and all(client.epoch == group.epochs.group for client in self.clients)
            and self.is_initialized(group)
        )

    def is_initialized(self, group: ShareGroup) -> bool:
        """All that anyone subscribes to, by the group's own word."""
        done = group.states.initialized if group.states is not None else {}
        names = {name for client in self.clients for name in client.topics if name in self.counts}
        return all(
            self.ids[name] in done and len(done[self.ids[name]].partitions) == self.counts[name] for name in names
        )

    def initialize(self, request: Any) -> None:
        rows = {row.topic_id: frozenset(p.partition for p in row.partitions) for row in request.topics}
        self.known |= {(topic_id, p) for topic_id, partitions in rows.items() for p in partitions}
        self.play.run("nobody", lambda shard: shard.shares.initialization.complete(GROUP, rows))

    def check_end(self) -> None:
        wanted = {
            (self.ids[name], partition)
            for client in self.clients
            for name in client.topics
            for partition in range(self.counts.get(name, 0))
        }
        for client in self.clients:
            assert set(client.owned) <= {self.ids[name] for name in client.topics if name in self.ids}
        assert {key for client in self.clients for key in client.partitions} == wanted
        if len({frozenset(client.topics) for client in self.clients}) == 1:
            loads = [len(client.partitions) for client in self.clients]
            assert max(loads) - min(loads) <= 1, loads


@pytest.mark.parametrize("seed", seeds(12))
def test_run(seed: int) -> None:
    Run(seed).run()
