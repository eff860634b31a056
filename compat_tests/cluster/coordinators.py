"""Who coordinates what in a cluster of three, and clients that use all of them."""

import time
from typing import Final

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from compat_tests.confluent.reading import read_all
from compat_tests.confluent.settings import KEEP_BROKERS
from compat_tests.wire.raw_client import RawClient
from pykbroker.protocol.enums import CoordinatorType
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)

BROKERS: Final = (1, 2, 3)
PARTITIONS: Final = 6
SECONDS: Final = 60.0
GROUP: Final = 32  # resource type
# Few partitions, so that a broker that starts has little to load; who is dead is missed soon, and leads again soon.
SETTINGS: Final = (
    "broker.session.timeout.ms=6000",
    "broker.heartbeat.interval.ms=500",
    "leader.imbalance.check.interval.seconds=3",
    "offsets.topic.num.partitions=6",
    "transaction.state.log.num.partitions=6",
    "share.coordinator.state.topic.num.partitions=6",
)


def arguments() -> list[str]:
    return [argument for setting in SETTINGS for argument in ("--set", setting)]


def create(servers: str, name: str, partitions: int = PARTITIONS) -> str:
    topic = NewTopic(name, partitions, 3, config={"min.insync.replicas": "2"})
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([topic])[name].result(SECONDS)
    return name


def coordinator(servers: str, kind: CoordinatorType, key: str) -> int:
    deadline = time.monotonic() + SECONDS
    while True:
        with RawClient(servers.split(",")[0]) as client:
            (row,) = client.ask(FindCoordinatorRequest(key_type=kind, coordinator_keys=[key]), 6).coordinators
        if not row.error_code:
            return int(row.node_id)
        assert time.monotonic() < deadline, row
        time.sleep(0.2)


def one_of_each(servers: str, kind: CoordinatorType, name: str) -> dict[int, str]:
    """A group or transactional id for each broker that coordinates it; leaders may have to come back first."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found: dict[int, str] = {}
        for number in range(20):
            found.setdefault(coordinator(servers, kind, f"{name}-{number}"), f"{name}-{number}")
            if len(found) == len(BROKERS):
                return found
        time.sleep(0.5)
    raise AssertionError(f"only {sorted(found)} are coordinators")


def producer(servers: str, transactional_id: str) -> Producer:
    settings = {"bootstrap.servers": servers, "transactional.id": transactional_id, "linger.ms": 0}
    made = Producer({**settings, "reconnect.backoff.max.ms": 200, **KEEP_BROKERS})
    made.init_transactions(SECONDS)
    return made


def read_values(servers: str, topic: str) -> list[bytes]:
    """Committed values of each partition, one behind the other."""
    return [value for values in read_all(servers, topic, PARTITIONS, SECONDS) for value in values]


def fill(servers: str, topic: str, count: int) -> list[bytes]:
    values = [b"%d" % number for number in range(count)]
    client = Producer({"bootstrap.servers": servers, "enable.idempotence": True})
    for number, value in enumerate(values):
        client.produce(topic, value, partition=number % PARTITIONS)
    assert client.flush(SECONDS) == 0
    return values


def from_the_beginning(servers: str, group: str) -> None:
    config = AlterableConfig(name="share.auto.offset.reset", config_operation=0, value="earliest")
    resource = AlterConfigsResource(resource_type=GROUP, resource_name=group, configs=[config])
    with RawClient(servers.split(",")[0]) as client:
        (row,) = client.ask(IncrementalAlterConfigsRequest(resources=[resource]), 1).responses
    assert row.error_code == 0, row
