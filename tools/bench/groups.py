"""Groups and transactions: how soon members that waste no time are stable, and what commits cost."""

import selectors
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.lookup import response_class
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from tools.bench import loads
from tools.bench.processes import Broker
from tools.bench.wire import Wire, frame

JOIN, SYNC, HEARTBEAT, BEAT, COMMIT, FIND = 9, 5, 4, 1, 9, 4
PAUSE = 0.005  # seconds between two heartbeats of a member
_FLEXIBLE_BODY = 5
TARGETS = {
    "groups: 10 classic members stable, s": "≤ 0.2",
    "groups: 50 classic members stable, s": "≤ 0.2",
    "groups: 10 KIP-848 members stable, s": "≤ 0.2",
    "groups: offset commits/s": "≥ 0.7",
    "groups: transactions/s": "≥ 1.0",
    "groups: CPU ms per transaction": "≤ 0.5",
}


def groups(broker: Broker) -> dict[str, float]:
    """Each with a group, a topic and a transactional id of its own."""
    topic = loads.new_topic(broker.address, 10)
    _settle_offsets_topic(broker, topic)
    commits, commit_cpu = offset_commits(broker, topic)
    transactions, transaction_cpu = transact(broker, topic)
    return {
        "groups: 10 classic members stable, s": until_stable(broker, Classic(_name()).team(10)),
        "groups: 50 classic members stable, s": until_stable(broker, Classic(_name()).team(50)),
        "groups: 10 KIP-848 members stable, s": until_stable(broker, Consumer(_name(), topic).team(10)),
        "groups: offset commits/s": commits,
        "groups: CPU s per 10,000 commits": commit_cpu * 10_000,
        "groups: transactions/s": transactions,
        "groups: CPU ms per transaction": transaction_cpu * 1000,
    }


def _name() -> str:
    return f"group-{uuid.uuid4().hex[:8]}"


class Member(ABC):
    """Says the next thing as soon as it is answered."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.member_id = ""
        self.epoch = -1
        self.api = (ApiKey.JOIN_GROUP, JOIN)

    @abstractmethod
    def says(self) -> Message: ...

    @abstractmethod
    def hear(self, answer: Any) -> None: ...

    @abstractmethod
    def is_stable(self, team: list[Any]) -> bool: ...


class Classic(Member):
    step = "join"
    members: list[str]

    def team(self, count: int) -> list["Classic"]:
        return [Classic(self.group) for _ in range(count)]

    def says(self) -> Message:
        if self.step == "join":
            self.api = (ApiKey.JOIN_GROUP, JOIN)
            return JoinGroupRequest(
                group_id=self.group,
                session_timeout_ms=30_000,
                rebalance_timeout_ms=60_000,
                member_id=self.member_id,
                protocol_type="consumer",
                protocols=[JoinGroupRequestProtocol(name="range", metadata=b"\0\0\0\0\0\0\0\0\0\0")],
            )
        if self.step == "sync":
            self.api = (ApiKey.SYNC_GROUP, SYNC)
            shares = [SyncGroupRequestAssignment(member_id=name, assignment=b"x") for name in self.members]
            return SyncGroupRequest(
                group_id=self.group,
                generation_id=self.epoch,
                member_id=self.member_id,
                protocol_type="consumer",
                protocol_name="range",
                assignments=shares,
            )
        self.api = (ApiKey.HEARTBEAT, HEARTBEAT)
        return HeartbeatRequest(group_id=self.group, generation_id=self.epoch, member_id=self.member_id)

    def hear(self, answer: Any) -> None:
        code = answer.error_code
        if code in (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.ILLEGAL_GENERATION):
            self.step = "join"
        elif code == ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = answer.member_id
        elif code:
            raise RuntimeError(f"{self.step} is answered with error {code}")
        elif self.step == "join":
            self.member_id, self.epoch, self.step = answer.member_id, answer.generation_id, "sync"
            self.members = [row.member_id for row in answer.members]
        elif self.step == "sync":
            self.step = "beat"

    def is_stable(self, team: list["Classic"]) -> bool:
        if any(member.step != "beat" or member.epoch != self.epoch for member in team):
            return False
        return max(len(member.members) for member in team) == len(team)


class Consumer(Member):
    def __init__(self, group: str, topic: str) -> None:
        super().__init__(group)
        self.topic = topic
        self.member_id = str(uuid.uuid4())
        self.epoch = 0
        self.owned: list[TopicPartitions] = []
        self.api = (ApiKey.CONSUMER_GROUP_HEARTBEAT, BEAT)

    def team(self, count: int) -> list["Consumer"]:
        return [Consumer(self.group, self.topic) for _ in range(count)]

    def says(self) -> Message:
        return ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.member_id,
            member_epoch=self.epoch,
            rebalance_timeout_ms=60_000,
            subscribed_topic_names=[self.topic],
            topic_partitions=self.owned,
        )

    def hear(self, answer: Any) -> None:
        if answer.error_code:
            raise RuntimeError(f"a heartbeat is answered with error {answer.error_code}")
        self.epoch = answer.member_epoch
        if answer.assignment is not None:
            self.owned = [
                TopicPartitions(topic_id=row.topic_id, partitions=row.partitions)
                for row in answer.assignment.topic_partitions
            ]

    def is_stable(self, team: list["Consumer"]) -> bool:
        """The ten partitions are spread evenly."""
        loads = [sum(len(row.partitions) for row in member.owned) for member in team]
        return loads == [10 // len(team)] * len(team)


def until_stable(broker: Broker, team: list[Any]) -> float:
    """Seconds from the first request until all are members of one stable group."""
    selector = selectors.DefaultSelector()
    wires = [Wire(broker.address) for _ in team]
    started = time.monotonic()
    waiting: list[tuple[float, Any, Wire]] = []

    def send(member: Any, wire: Wire) -> None:
        request = member.says()
        api_key, version = member.api
        wire.send(frame(api_key, version, request))

    for member, wire in zip(team, wires, strict=True):
        selector.register(wire, selectors.EVENT_READ, member)
        send(member, wire)
    while not team[0].is_stable(team):
        if time.monotonic() - started > loads.PATIENCE:
            raise RuntimeError("the group does not become stable")
        for key, _ in selector.select(PAUSE):
            assert isinstance(key.fileobj, Wire)
            member, answer = key.data, key.fileobj.receive()
            api_key, version = member.api
            member.hear(response_class(api_key).decode(bytes(answer), version, _FLEXIBLE_BODY)[0])
            is_beat = api_key in (ApiKey.HEARTBEAT, ApiKey.CONSUMER_GROUP_HEARTBEAT)
            waiting.append((time.monotonic() + (PAUSE if is_beat else 0), member, key.fileobj))
        due = [row for row in waiting if row[0] <= time.monotonic()]
        waiting = [row for row in waiting if row not in due]
        for _, member, wire in due:
            send(member, wire)
    elapsed = time.monotonic() - started
    for wire in wires:
        wire.__exit__(None, None, None)
    return elapsed


def _commit_frame(group: str, topic: str) -> bytes:
    row = OffsetCommitRequestPartition(partition_index=0, committed_offset=1, committed_metadata="")
    rows = [OffsetCommitRequestTopic(name=topic, partitions=[row])]
    request = OffsetCommitRequest(group_id=group, topics=rows)
    return frame(ApiKey.OFFSET_COMMIT, COMMIT, request)


def _settle_offsets_topic(broker: Broker, topic: str) -> None:
    """Its coordinators are there, for every group."""
    with Wire(broker.address) as wire:
        wire.ask(frame(ApiKey.FIND_COORDINATOR, FIND, FindCoordinatorRequest(coordinator_keys=["first"])))
    deadline = time.monotonic() + loads.PATIENCE
    with Wire(broker.address) as wire:
        for number in range(50):
            asked = _commit_frame(f"first-{number}", topic)
            while _commit_error(wire.ask(asked)):
                if time.monotonic() > deadline:
                    raise RuntimeError("offsets can't be committed")
                time.sleep(0.05)


def _commit_error(answer: memoryview) -> int:
    decode: Callable[..., Any] = response_class(ApiKey.OFFSET_COMMIT).decode
    return int(decode(bytes(answer), COMMIT, _FLEXIBLE_BODY)[0].topics[0].partitions[0].error_code)


def offset_commits(broker: Broker, topic: str, seconds: float = 3, connections: int = 20) -> tuple[float, float]:
    """Per second from 20 connections, and the broker's CPU seconds for each."""
    frames = [_commit_frame(f"committer-{number}", topic) for number in range(connections)]
    cpu = broker.cpu_seconds()
    answered, elapsed = loads.tiny_requests(broker.address, frames, connections, seconds)
    return answered / elapsed, (broker.cpu_seconds() - cpu) / answered


def transact(broker: Broker, topic: str, seconds: float = 4) -> tuple[float, float]:
    """Begin, produce, commit over and over by one producer of confluent-kafka; CPU seconds of the broker for each."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": _name(), "linger.ms": 0})
    producer.init_transactions(loads.PATIENCE)
    count = 0
    cpu, started = broker.cpu_seconds(), time.monotonic()
    while time.monotonic() - started < seconds:
        producer.begin_transaction()
        producer.produce(topic, b"x" * 100, partition=count % 10)
        producer.commit_transaction(loads.PATIENCE)
        count += 1
    elapsed = time.monotonic() - started
    return count / elapsed, (broker.cpu_seconds() - cpu) / count
