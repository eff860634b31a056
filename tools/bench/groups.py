"""Groups and transactions: how soon members that waste no time are stable, and what commits cost."""

import selectors
import statistics
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.lookup import response_class
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from tools.bench import loads
from tools.bench.members import PAUSE, Classic, Consumer, Member, is_spread, is_stable_generation
from tools.bench.processes import Broker
from tools.bench.wire import Wire, alter_config_error, alter_config_frame, config_value, describe_config_frame, frame

COMMIT, FIND = 9, 4
PARTITIONS = 10
_FLEXIBLE_BODY = 5
_GROUP_CONFIGS = 32  # ConfigResource.Type.GROUP
_INTERVAL = "consumer.assignment.interval.ms"
TARGETS = {
    "groups: 10 classic members stable, s": "≤ 0.2",
    "groups: 50 classic members stable, s": "≤ 0.2",
    "groups: 10 KIP-848 members stable, s": "≤ 0.2",
    "groups: offset commits/s": "≥ 0.7",
    "groups: transactions/s": "≥ 1.0",
    "groups: CPU ms per transaction": "≤ 0.5",
}

M = TypeVar("M", bound=Member)


def groups(broker: Broker) -> dict[str, float]:
    """Each with a group, a topic and a transactional id of its own."""
    topic = loads.new_topic(broker.address, PARTITIONS)
    _settle_offsets_topic(broker, topic)
    commits, commit_cpu = offset_commits(broker, topic)
    transactions, transaction_cpu = transact(broker, topic)
    return {
        **stable_groups(broker, topic),
        "groups: offset commits/s": commits,
        "groups: CPU s per 10,000 commits": commit_cpu * 10_000,
        "groups: transactions/s": transactions,
        "groups: CPU ms per transaction": transaction_cpu * 1000,
    }


def stable_groups(broker: Broker, topic: str, times: int = 5) -> dict[str, float]:
    """The median of some groups, as one takes but milliseconds; the broker's CPU is that of all of them."""
    figures: dict[str, float] = {}
    for size in (10, 50):
        cpu = broker.cpu_seconds()
        taken = [until_stable(broker, Classic.team(_name(), size), is_stable_generation) for _ in range(times)]
        figures[f"groups: {size} classic members stable, s"] = statistics.median(taken)
        figures[f"groups: CPU ms per {size} classic members"] = (broker.cpu_seconds() - cpu) / times * 1000
    # Both with their defaults: Kafka's interval between two assignments is a second.
    team = Consumer.team(_name(), topic, PARTITIONS)
    figures["groups: 10 KIP-848 members stable, s"] = until_stable(broker, team, is_spread)
    taken = []
    for _ in range(times):
        team = Consumer.team(_without_interval(broker, _name()), topic, PARTITIONS)
        taken.append(until_stable(broker, team, is_spread))
    figures["groups: 10 KIP-848 members, no interval, s"] = statistics.median(taken)
    return figures


def _name() -> str:
    return f"group-{uuid.uuid4().hex[:8]}"


def first_group(broker: Broker, size: int) -> float:
    """Seconds until all members of a group are stable on a broker that never had one: what a test waits for."""
    started = time.monotonic()
    with Wire(broker.address) as wire:
        asked = frame(ApiKey.FIND_COORDINATOR, FIND, FindCoordinatorRequest(coordinator_keys=["first"]))
        while _coordinator_error(wire.ask(asked)):
            if time.monotonic() - started > loads.PATIENCE:
                raise RuntimeError("there is no coordinator")
            time.sleep(PAUSE)
    until_stable(broker, Classic.team("first", size), is_stable_generation)
    return time.monotonic() - started


def _coordinator_error(answer: memoryview) -> int:
    decode: Callable[..., Any] = response_class(ApiKey.FIND_COORDINATOR).decode
    return int(decode(bytes(answer), FIND, _FLEXIBLE_BODY)[0].coordinators[0].error_code)


def until_stable(broker: Broker, team: Sequence[M], is_stable: Callable[[Sequence[M]], bool]) -> float:
    """Seconds from the first request until all are members of one stable group, on connections that are served."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(broker.address)) for _ in team]
        for wire in wires:
            wire.ask(frame(ApiKey.API_VERSIONS, 0, ApiVersionsRequest()))
        under_way: set[int] = set()
        with broker.ahead():
            elapsed = _exchange(team, wires, under_way, lambda: is_stable(team))
        _leave(team, wires, under_way)
        return elapsed


def _exchange(team: Sequence[Member], wires: Sequence[Wire], under_way: set[int], is_over: Callable[[], bool]) -> float:
    """`under_way`: whose answers are to come."""
    paused: deque[tuple[float, int]] = deque()
    with selectors.DefaultSelector() as selector:
        for number, wire in enumerate(wires):
            selector.register(wire, selectors.EVENT_READ, number)
        started = time.monotonic()
        for number, member in enumerate(team):
            wires[number].send(member.says())
            under_way.add(number)
        while not is_over():
            now = time.monotonic()
            if now - started > loads.PATIENCE:
                raise RuntimeError("the group does not become stable")
            for key, _ in selector.select(max(paused[0][0] - now, 0) if paused else loads.PATIENCE):
                number = key.data
                if team[number].hear(wires[number].receive_only()):
                    wires[number].send(team[number].says())
                else:
                    under_way.remove(number)
                    paused.append((time.monotonic() + PAUSE, number))
            while paused and paused[0][0] <= time.monotonic():
                _, number = paused.popleft()
                wires[number].send(team[number].says())
                under_way.add(number)
        return time.monotonic() - started


def _leave(team: Sequence[Member], wires: Sequence[Wire], under_way: set[int]) -> None:
    """The next round shall not be disturbed by sessions that end."""
    for member, wire in zip(team, wires, strict=True):
        wire.send(member.farewell())
    for number, wire in enumerate(wires):
        for _ in range(2 if number in under_way else 1):
            wire.receive()


def _without_interval(broker: Broker, group: str) -> str:
    """The group, whose assignment may be made anew at any time."""
    with Wire(broker.address) as wire:
        if error := alter_config_error(wire.ask(alter_config_frame(_GROUP_CONFIGS, group, _INTERVAL, "0"))):
            raise RuntimeError(f"the group's config was not altered: error {error}")
        deadline = time.monotonic() + loads.PATIENCE
        while config_value(wire.ask(describe_config_frame(_GROUP_CONFIGS, group, _INTERVAL))) != "0":
            if time.monotonic() > deadline:
                raise RuntimeError("the group's config is not what it was set to")
    return group


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
    with broker.ahead():
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
