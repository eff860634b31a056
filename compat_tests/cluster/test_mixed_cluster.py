"""Brokers of both kinds hold replicas together, under a controller of either; all is judged by the history checker.

Each test has one of the controllers, with PYKBROKER_MIXED=all both; `mixed_runs` adds events at random.
"""

import json
import os
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from compat_tests.cluster.mixed import KAFKA, OURS, MixedCluster, await_port, eventually, mixed_cluster
from compat_tests.cluster.mixed_runs import (
    INTERNAL,
    await_more,
    await_more_records,
    history,
    kill_and_start,
    look_at_copies,
)
from compat_tests.confluent.settings import KEEP_BROKERS
from compat_tests.history.clients import Feeder, Reader, Writer
from compat_tests.history.runs import verify

pytestmark = [pytest.mark.own_broker, pytest.mark.timeout(600)]
SECONDS = 60


def under(controller: str) -> pytest.MarkDecorator:
    everything = os.environ.get("PYKBROKER_MIXED") == "all"
    return pytest.mark.parametrize("cluster", (KAFKA, OURS) if everything else (controller,), indirect=True)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MixedCluster]:
    with mixed_cluster(tmp_path_factory.mktemp("mixed"), request.param) as made:
        yield made


@under(KAFKA)
def test_each_kind_is_killed_under_load(cluster: MixedCluster) -> None:
    """Leaders, groups and transactions move between the kinds."""
    one = history(cluster, "killed")
    one.add_all()
    one.start()
    try:
        await_more(one)
        for kind in (OURS, KAFKA):
            kill_and_start(cluster, one, cluster.of_kind(kind)[0])
    finally:
        one.stop()
    verify(one)
    look_at_copies(cluster, one.topic, one.target, *INTERNAL)


@under(KAFKA)
def test_groups_and_transactions_move_with_their_coordinators(cluster: MixedCluster) -> None:
    """All of them to a broker of one kind, then to the other kind."""
    one = history(cluster, "coordinated")
    one.add_group("member", 2)
    for kind, name in ((Feeder, "feeder"), (Writer, "writer")):
        one.add(kind, name)
    one.add_pipeline(1)
    one.start()
    try:
        await_more(one)
        for kind in (KAFKA, OURS):
            move_coordinators(cluster, cluster.of_kind(kind)[0])
            await_more(one)
    finally:
        one.stop()
    verify(one)


def move_coordinators(cluster: MixedCluster, number: int) -> None:
    order = [number, *(each for each in cluster.brokers if each != number)]
    cluster.reassign({(topic, partition): order for topic in INTERNAL for partition in cluster.replicas(topic)})
    cluster.await_all_in_sync(*INTERNAL)
    cluster.elect_preferred(*INTERNAL)
    for topic in INTERNAL:
        eventually(lambda: set(cluster.leaders(topic)) == {number}, lambda: cluster.leaders(topic))  # noqa: B023  # asked in this turn of the loop


@under(OURS)
def test_no_duplicates_while_an_idempotent_producers_partitions_are_reassigned(cluster: MixedCluster) -> None:
    """Scenario 11 (AutoMQ/automq#437, librdkafka#4953): to the other kind, and back, in use all the while."""
    one = history(cluster, "moved", copies=1)
    one.add(Feeder, "feeder-a")
    one.add(Feeder, "feeder-b")
    one.add(Reader, "reader-a")
    one.start()
    first = cluster.replicas(one.topic)
    try:
        await_more_records(one)
        there = {number: [each % len(cluster.brokers) + 1 for each in first[number]] for number in first}
        for wanted in (there, first):
            told = cluster.reassign({(one.topic, number): replicas for number, replicas in wanted.items()})
            assert "Successfully started partition reassignments" in told
            cluster.await_isr(one.topic, {number: set(replicas) for number, replicas in wanted.items()})
            eventually(lambda: cluster.replicas(one.topic) == wanted, lambda: cluster.replicas(one.topic))  # noqa: B023  # asked in this turn of the loop
            await_more_records(one)
    finally:
        one.stop()
    verify(one)


@under(OURS)
def test_a_reassignment_is_throttled_and_cancelled(cluster: MixedCluster, topic: str) -> None:
    """From ours to Kafka's, and from Kafka's to ours."""
    ours, theirs = cluster.of_kind(OURS)[0], cluster.of_kind(KAFKA)[0]
    cluster.create(topic, [ours], [theirs])
    fill(cluster, topic, 3_000_000)  # as much as a single fetch takes, thrice: one goes before anything is measured
    wanted = {(topic, 0): [theirs], (topic, 1): [ours]}
    throttled = cluster.reassign(wanted, "--throttle", "20000")
    assert "The inter-broker throttle limit was set to 20000 B/s" in throttled
    assert cluster.isr(topic) == {0: {ours}, 1: {theirs}}, "the throttle was not heeded"
    still = cluster.reassign(wanted, "--preserve-throttles", action="--verify")
    assert still.count("is still in progress") == 2
    cancelled = cluster.reassign(wanted, action="--cancel")
    assert f"Successfully cancelled partition reassignments for: {topic}-0,{topic}-1" in cancelled
    eventually(lambda: cluster.replicas(topic) == {0: [ours], 1: [theirs]}, lambda: cluster.replicas(topic))
    cluster.reassign(wanted)
    cluster.await_isr(topic, {0: {theirs}, 1: {ours}})
    done = cluster.reassign(wanted, action="--verify")
    assert done.count("is completed") == 2
    eventually(lambda: cluster.leaders(topic) == [theirs, ours], lambda: cluster.leaders(topic))


def fill(cluster: MixedCluster, topic: str, size: int) -> None:
    """Each partition with so many bytes."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "batch.size": 20_000})
    for number in range(len(cluster.leaders(topic))):
        for _ in range(size // 10_000):
            producer.produce(topic, bytes(10_000), partition=number)
    assert producer.flush(SECONDS) == 0


@under(OURS)
def test_preferred_leaders_are_elected(cluster: MixedCluster, topic: str) -> None:
    """Each is stopped in order, comes back, and leads again when it is told to."""
    preferred = list(cluster.brokers)
    cluster.create(topic, *([number, *(set(preferred) - {number})] for number in preferred))
    for number in (cluster.of_kind(OURS)[0], cluster.of_kind(KAFKA)[0]):
        cluster.brokers[number].stop()
        assert number not in cluster.leaders(topic)
        cluster.brokers[number].start()
        await_port(cluster.brokers[number])
        cluster.await_all_in_sync(topic)
    assert cluster.leaders(topic) != preferred
    assert "Successfully completed leader election (PREFERRED)" in cluster.elect_preferred(topic)
    eventually(lambda: cluster.leaders(topic) == preferred, lambda: cluster.leaders(topic))


@under(OURS)
def test_consumers_read_from_the_follower_in_their_rack(cluster: MixedCluster, topic: str) -> None:
    """KIP-392: leaders of both kinds send them to followers of both."""
    ours, theirs = cluster.of_kind(OURS)[0], cluster.of_kind(KAFKA)[0]
    cluster.create(topic, [ours, theirs], [theirs, ours])
    fill(cluster, topic, 100_000)
    assert read_from(cluster, topic, f"r{theirs}") == {0: theirs, 1: theirs}
    assert read_from(cluster, topic, f"r{ours}") == {0: ours, 1: ours}
    assert read_from(cluster, topic, "elsewhere") == {0: ours, 1: theirs}


def read_from(cluster: MixedCluster, topic: str, rack: str) -> dict[int, int]:
    """From which broker each partition is fetched when all has been read."""
    brokers: dict[int, int] = {}

    def told(statistics: str) -> None:
        rows = json.loads(statistics)["topics"].get(topic, {"partitions": {}})["partitions"]
        brokers.update((int(number), row["broker"]) for number, row in rows.items() if int(number) >= 0)

    settings = {"bootstrap.servers": cluster.bootstrap, "client.rack": rack, "group.id": "racks", **KEEP_BROKERS}
    consumer = Consumer({**settings, "statistics.interval.ms": 100, "stats_cb": told, "fetch.wait.max.ms": 200})
    consumer.assign([TopicPartition(topic, number, 0) for number in (0, 1)])
    read = 0
    deadline = time.monotonic() + SECONDS
    while read < 20 and time.monotonic() < deadline:
        read += sum(message.error() is None for message in consumer.consume(20, 0.2))
    consumer.consume(1, 1.0)
    consumer.close()
    assert read == 20
    return brokers
