"""What brokers ask each other: transactions over partitions of all of them, groups and share groups that each of them
coordinates. The same on a real cluster of three (--oracle).
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from kafka import KafkaProducer

from compat_tests.cluster.coordinators import (
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
from compat_tests.cluster.test_local_cluster import local_cluster
from compat_tests.java.test_share_consumers import Members
from compat_tests.java.tools import run
from pykbroker.protocol.enums import CoordinatorType
from tools.oracle.cluster import up

SHARE_GROUPS = "org.apache.kafka.tools.consumer.group.ShareGroupCommand"


@pytest.fixture(scope="module")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the cluster is reached."""
    if not request.config.getoption("--oracle"):
        with local_cluster(tmp_path_factory.mktemp("coordination") / "data", *arguments()) as ours:
            yield ours.bootstrap
        return
    with (
        tempfile.TemporaryDirectory(prefix="pykbroker-oracle-", ignore_cleanup_errors=True) as folder,
        up(Path(folder), 3, heap="384m") as real,
    ):
        yield real.bootstrap


def test_transactions_over_all_brokers(servers: str, topic: str, unique: Callable[[str], str]) -> None:
    """Each broker coordinates some of them, and each transaction has partitions on all three."""
    create(servers, topic)
    wanted = []
    for transactional_id in one_of_each(servers, CoordinatorType.TRANSACTION, unique("tx")).values():
        client = producer(servers, transactional_id)
        for number in range(6):
            client.begin_transaction()
            values = [f"{transactional_id} {number} {partition}".encode() for partition in range(PARTITIONS)]
            for partition, value in enumerate(values):
                client.produce(topic, value, partition=partition)
            if number % 3:
                client.commit_transaction(SECONDS)
                wanted += values
            else:
                assert client.flush(SECONDS) == 0
                client.abort_transaction(SECONDS)
    assert sorted(read_values(servers, topic)) == sorted(wanted)


def test_kafka_pythons_transactions(servers: str, topic: str, unique: Callable[[str], str]) -> None:
    """An older protocol of transactions: partitions are added by the client, and verified by their leaders."""
    create(servers, topic)
    wanted = []
    for transactional_id in one_of_each(servers, CoordinatorType.TRANSACTION, unique("tx")).values():
        client = KafkaProducer(bootstrap_servers=servers, transactional_id=transactional_id, acks="all")
        client.init_transactions()
        for number in range(3):
            client.begin_transaction()
            values = [f"{transactional_id} {number} {partition}".encode() for partition in range(PARTITIONS)]
            sent = [client.send(topic, value, partition=index) for index, value in enumerate(values)]
            assert [each.get(SECONDS) for each in sent]
            if number % 2:
                client.abort_transaction()
            else:
                client.commit_transaction()
                wanted += values
        client.close()
    assert sorted(read_values(servers, topic)) == sorted(wanted)


def test_consumed_transformed_and_produced_once(servers: str, topic: str, unique: Callable[[str], str]) -> None:
    """Offsets of groups that each broker coordinates, in transactions that each coordinates."""
    target = create(servers, unique("target"))
    values = fill(servers, create(servers, topic), 60)
    groups = one_of_each(servers, CoordinatorType.GROUP, unique("group"))
    ids = one_of_each(servers, CoordinatorType.TRANSACTION, unique("tx"))
    for group in groups.values():
        for transactional_id in ids.values():
            move_some(servers, topic, target, group, transactional_id)
    assert Counter(read_values(servers, target)) == Counter(values * len(groups))


def move_some(servers: str, topic: str, target: str, group: str, transactional_id: str) -> None:
    """A third of the group's records, as far as it has not had them."""
    settings = {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"}
    reader = Consumer({**settings, "enable.auto.commit": False, "isolation.level": "read_committed"})
    reader.subscribe([topic])
    client = producer(servers, transactional_id)
    deadline, moved = time.monotonic() + SECONDS, 0
    while moved < 20:
        assert time.monotonic() < deadline, moved
        messages = [message for message in reader.consume(20 - moved, 0.5) if message.error() is None]
        if not messages:
            continue
        client.begin_transaction()
        for message in messages:
            client.produce(target, message.value(), partition=message.partition())
        positions = reader.position(reader.assignment())
        client.send_offsets_to_transaction(positions, reader.consumer_group_metadata(), SECONDS)
        client.commit_transaction(SECONDS)
        moved += len(messages)
    reader.close()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_groups_of_all_coordinators(protocol: str, servers: str, topic: str, unique: Callable[[str], str]) -> None:
    values = fill(servers, create(servers, topic), 60)
    for group in one_of_each(servers, CoordinatorType.GROUP, unique("group")).values():
        settings = {"bootstrap.servers": servers, "group.id": group, "group.protocol": protocol}
        found: list[bytes] = []
        for count in (25, 35):  # one member leaves, the next goes on where it was
            reader = Consumer({**settings, "auto.offset.reset": "earliest", "enable.auto.commit": False})
            reader.subscribe([topic])
            deadline, wanted = time.monotonic() + SECONDS, len(found) + count
            while len(found) < wanted:
                assert time.monotonic() < deadline, len(found)
                found += [m.value() or b"" for m in reader.consume(wanted - len(found), 0.5) if m.error() is None]
            reader.commit(asynchronous=False)
            reader.close()
        assert sorted(found) == sorted(values)


def test_a_share_group_whose_states_all_brokers_keep(servers: str, topic: str, group: str) -> None:
    fill(servers, create(servers, topic), 600)
    from_the_beginning(servers, group)
    members = Members(servers, topic, group, count=1)
    try:
        members.await_acknowledged(600)
    finally:
        members.stop()
    assert set(members.acknowledged.values()) == {1}
    described = run(SHARE_GROUPS, "--bootstrap-server", servers, "--describe", "--group", group)
    rows = [line.split() for line in described.splitlines() if line.startswith(group)]
    lags = {row[2]: row[4] for row in rows}
    assert lags == {str(partition): "0" for partition in range(PARTITIONS)}, described
