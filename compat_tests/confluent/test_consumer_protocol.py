"""confluent-kafka with group.protocol=consumer (KIP-848): two members share, one leaves, patterns, static members."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, ConsumerGroupType

from compat_tests.confluent.test_confluent import admin, create, produce

DEADLINE_SECONDS = 40


@contextmanager
def member(bootstrap: str, group: str, *topics: str, **settings: object) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            **settings,
        }
    )
    consumer.subscribe(list(topics))
    try:
        yield consumer
    finally:
        consumer.close()


def poll_until(done: Callable[[], bool], *consumers: Consumer) -> list[bytes]:
    """What they read until then."""
    values = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not done():
        assert time.monotonic() < deadline, [consumer.assignment() for consumer in consumers]
        for consumer in consumers:
            message = consumer.poll(0.05)
            if message is not None:
                assert message.error() is None, message.error()
                values.append(message.value())
    return values


def holds(consumer: Consumer, count: int) -> bool:
    return len(consumer.assignment()) == count


@pytest.mark.timeout(120)
def test_two_members_share_and_one_leaves(bootstrap: str, topic: str, group: str) -> None:
    create(bootstrap, topic, 4)
    sent = [b"%d" % i for i in range(200)]
    produce(bootstrap, topic, sent)
    with member(bootstrap, group, topic) as first:
        with member(bootstrap, group, topic) as second:
            values: list[bytes] = []
            values += poll_until(lambda: holds(first, 2) and holds(second, 2), first, second)
            mine = {row.partition for row in first.assignment()}
            assert not mine & {row.partition for row in second.assignment()}
            client = admin(bootstrap)  # must outlive its futures
            row = client.describe_consumer_groups([group])[group].result(20)
            assert (row.state, row.type, len(row.members)) == (
                ConsumerGroupState.STABLE,
                ConsumerGroupType.CONSUMER,
                2,
            )
        values += poll_until(lambda: holds(first, 4), first)
        produce(bootstrap, topic, [b"last"])
        deadline = time.monotonic() + DEADLINE_SECONDS
        while set(values) != {*sent, b"last"}:
            assert time.monotonic() < deadline, sorted({*sent, b"last"} - set(values))
            values += [message.value() for message in [first.poll(0.5)] if message is not None]


@pytest.mark.timeout(120)
def test_a_pattern_finds_topics_that_come_later(bootstrap: str, unique: Callable[[str], str], group: str) -> None:
    prefix = unique("pattern")
    create(bootstrap, f"{prefix}-a", 2)
    with member(bootstrap, group, f"^{prefix}-.*") as consumer:
        poll_until(lambda: holds(consumer, 2), consumer)
        create(bootstrap, f"{prefix}-b", 1)
        poll_until(lambda: holds(consumer, 3), consumer)


@pytest.mark.timeout(120)
def test_offsets_are_committed_by_member_epoch(bootstrap: str, topic: str, group: str) -> None:
    create(bootstrap, topic)
    produce(bootstrap, topic, [b"a", b"b", b"c"])
    with member(bootstrap, group, topic, **{"group.instance.id": "one"}) as consumer:
        values: list[bytes] = []
        while len(values) < 2:
            values += [m.value() for m in [consumer.poll(0.5)] if m is not None]
        consumer.commit(asynchronous=False)
    with member(bootstrap, group, topic, **{"group.instance.id": "one"}) as consumer:
        while len(values) < 3:
            values += [m.value() for m in [consumer.poll(0.5)] if m is not None]
    assert values == [b"a", b"b", b"c"]


@pytest.mark.timeout(120)
def test_a_classic_group_is_upgraded_while_it_consumes(bootstrap: str, topic: str, group: str) -> None:
    create(bootstrap, topic, 2)
    classic = {"group.protocol": "classic", "partition.assignment.strategy": "cooperative-sticky"}
    with member(bootstrap, group, topic, **classic, **{"heartbeat.interval.ms": 500}) as old:
        poll_until(lambda: holds(old, 2), old)
        with member(bootstrap, group, topic) as new:
            poll_until(lambda: holds(old, 1) and holds(new, 1), old, new)
        poll_until(lambda: holds(old, 2), old)
