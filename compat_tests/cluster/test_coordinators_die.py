"""Coordinators of a local cluster are killed while clients depend on them: transactions end as a whole or not at all,
groups go on, no offset goes back, a share group delivers everything.
"""

import time
from collections.abc import Callable, Iterator
from random import Random

import pytest
from confluent_kafka import Consumer, TopicPartition
from kafka import KafkaProducer

from compat_tests.cluster.coordinators import (
    BROKERS,
    PARTITIONS,
    SECONDS,
    arguments,
    create,
    fill,
    from_the_beginning,
    one_of_each,
    producer,
    read_values,
)
from compat_tests.cluster.test_local_cluster import LocalCluster, local_cluster
from compat_tests.confluent.settings import KEEP_BROKERS
from compat_tests.java.test_share_consumers import Members
from pykbroker.protocol.enums import CoordinatorType

pytestmark = [pytest.mark.own_broker, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with local_cluster(tmp_path_factory.mktemp("coordinators") / "data", *arguments()) as made:
        yield made


@pytest.mark.parametrize("seed", [15, 16])
def test_all_of_a_transaction_or_nothing(
    seed: int, cluster: LocalCluster, topic: str, unique: Callable[[str], str]
) -> None:
    """Its coordinator dies between the first partitions and the last (scenario 15), and is away when it ends."""
    create(cluster.bootstrap, topic)
    wanted, random = [], Random(seed)
    ids = one_of_each(cluster.bootstrap, CoordinatorType.TRANSACTION, unique("tx"))
    for victim, transactional_id in ids.items():
        client = producer(cluster.bootstrap, transactional_id)
        dies = random.randrange(PARTITIONS)
        for number in range(4):
            client.begin_transaction()
            values = [f"{transactional_id} {number} {partition}".encode() for partition in range(PARTITIONS)]
            for partition, value in enumerate(values):
                client.produce(topic, value, partition=partition)
                if (number, partition) == (1, dies):
                    assert client.flush(SECONDS) == 0
                    cluster.command("kill", victim)
            if random.random() < 0.3:
                client.abort_transaction(SECONDS)
            else:
                client.commit_transaction(SECONDS)
                wanted += values
        cluster.command("start", victim)
        cluster.await_in_sync()
    assert sorted(read_values(cluster.bootstrap, topic)) == sorted(wanted)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_no_offset_goes_back(protocol: str, cluster: LocalCluster, topic: str, unique: Callable[[str], str]) -> None:
    """The group goes on without its coordinator; what was committed once stays."""
    values = fill(cluster.bootstrap, create(cluster.bootstrap, topic), 300)
    groups = one_of_each(cluster.bootstrap, CoordinatorType.GROUP, unique("group"))
    for victim, group in groups.items():
        settings = {"bootstrap.servers": cluster.bootstrap, "group.id": group, "group.protocol": protocol}
        settings |= {"auto.offset.reset": "earliest", "reconnect.backoff.max.ms": 200, **KEEP_BROKERS}
        reader = Consumer({**settings, "enable.auto.commit": False})
        reader.subscribe([topic])
        seen = commit_as_far_as(reader, topic, set(), 100)
        before = committed(reader, topic)
        cluster.command("kill", victim)
        seen = commit_as_far_as(reader, topic, seen, len(values))
        assert seen == set(values)
        after = committed(reader, topic)
        assert all(early <= late for early, late in zip(before, after, strict=True)), (before, after)
        assert after == [len(values) // PARTITIONS] * PARTITIONS
        reader.close()
        cluster.command("start", victim)
        cluster.await_in_sync()


def commit_as_far_as(reader: Consumer, topic: str, seen: set[bytes], count: int) -> set[bytes]:
    """Reads until so many values are known, and commits all the while; offsets never go back."""
    latest = committed(reader, topic)
    deadline = time.monotonic() + SECONDS
    while len(seen) < count:
        assert time.monotonic() < deadline, len(seen)
        found = [message for message in reader.consume(20, 0.5) if message.error() is None]
        seen |= {message.value() or b"" for message in found}
        if found:
            reader.commit(asynchronous=False)
            now = committed(reader, topic)
            assert all(before <= after for before, after in zip(latest, now, strict=True)), (latest, now)
            latest = now
    return seen


def committed(reader: Consumer, topic: str) -> list[int]:
    rows = reader.committed([TopicPartition(topic, partition) for partition in range(PARTITIONS)], SECONDS)
    return [max(row.offset, 0) for row in rows]


def test_a_share_group_gets_everything(cluster: LocalCluster, topic: str, group: str) -> None:
    """States of share partitions move to other brokers, and so do the share partitions themselves."""
    records = 1200
    create(cluster.bootstrap, topic)
    from_the_beginning(cluster.bootstrap, group)
    members = Members(cluster.bootstrap, topic, group, count=1)
    try:
        with KafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", retries=50) as client:
            for number, victim in enumerate(BROKERS, 1):
                sent = [client.send(topic, b"%d" % n, partition=n % PARTITIONS) for n in range(records // 3)]
                assert all(each.get(SECONDS) for each in sent)
                members.await_acknowledged(number * records // 3 - 200)
                cluster.command("kill", victim)
                members.await_acknowledged(number * records // 3)
                cluster.command("start", victim)
                cluster.await_in_sync()
    finally:
        members.stop(at_once=True)
    assert set(members.received) == set(members.acknowledged)
    assert len(members.acknowledged) == records
