"""AlterConfigs, as the real Kafka 4.3.1 answers it."""

import pytest

from pykbroker.protocol.enums import ConfigSource
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.alter_configs import AlterableConfig, AlterConfigsRequest, AlterConfigsResource
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import eventually, unique
from tests.handlers.config_dialogue import (
    BROKER,
    DONE,
    GROUP,
    LOGGER,
    METRICS,
    NODE,
    TOPIC,
    entries,
    legacy,
)

INVALID, REQUEST = ErrorCode.INVALID_CONFIG, ErrorCode.INVALID_REQUEST


def sources(asker: Asker, topic: str) -> tuple[int, int]:
    told = entries(asker, TOPIC, topic, "retention.ms", "segment.bytes")
    return told["retention.ms"][1], told["segment.bytes"][1]


@pytest.mark.parametrize("version", range(3))
def test_replaces_everything(cluster: Asker, version: int) -> None:
    topic = cluster.create(retention_ms="1000").name
    assert legacy(cluster, TOPIC, topic, ("segment.bytes", "2000000"), version=version) == DONE
    eventually(lambda: sources(cluster, topic), (ConfigSource.DEFAULT_CONFIG, ConfigSource.TOPIC_CONFIG).__eq__)
    assert legacy(cluster, TOPIC, topic, version=version) == DONE
    eventually(lambda: sources(cluster, topic), (ConfigSource.DEFAULT_CONFIG, ConfigSource.DEFAULT_CONFIG).__eq__)


def test_validate_only_changes_nothing(cluster: Asker) -> None:
    topic = cluster.create(retention_ms="1000").name
    assert legacy(cluster, TOPIC, topic, ("segment.bytes", "2000000"), validate_only=True) == DONE
    assert sources(cluster, topic) == (ConfigSource.TOPIC_CONFIG, ConfigSource.DEFAULT_CONFIG)


def test_what_a_topic_cannot_have(cluster: Asker) -> None:
    topic, key, nobody = cluster.create().name, "retention.ms", unique()
    duplicate = REQUEST, "Error due to duplicate config keys"
    assert legacy(cluster, TOPIC, topic, (key, "5"), (key, "6")) == duplicate
    assert legacy(cluster, TOPIC, topic, (key, None)) == (REQUEST, "Null value not supported for : retention.ms")
    not_a_number = INVALID, "Invalid value x for configuration retention.ms: Not a number of type LONG"
    assert legacy(cluster, TOPIC, topic, (key, "x")) == not_a_number
    assert legacy(cluster, TOPIC, topic, ("no.such", "x")) == (INVALID, "Unknown topic config name: no.such")
    assert legacy(cluster, TOPIC, nobody, (key, "5")) == (3, f"The topic '{nobody}' does not exist.")
    assert legacy(cluster, TOPIC, "", (key, "5")) == (REQUEST, "Default topic resources are not allowed.")


def test_what_a_broker_cannot_have(cluster: Asker) -> None:
    read_only = REQUEST, "Cannot update these configs dynamically: [node.id]"
    assert legacy(cluster, BROKER, NODE, ("node.id", "5")) == read_only
    assert legacy(cluster, BROKER, "", ("node.id", "5")) == read_only
    other = REQUEST, "Unexpected broker id, expected 1, but received 7"
    assert legacy(cluster, BROKER, "7", ("log.retention.ms", "5")) == other
    assert legacy(cluster, BROKER, NODE, ("log.retention.ms", "5"), validate_only=True) == DONE


def test_the_cluster_keeps_its_min_insync_replicas(cluster: Asker) -> None:
    """With ELR they are stored from the start; leaving them out would remove them (KIP-966)."""
    removal = INVALID, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."
    assert legacy(cluster, BROKER, "") == removal
    assert legacy(cluster, BROKER, "", ("log.retention.ms", "5")) == removal
    assert legacy(cluster, BROKER, "", ("min.insync.replicas", "1")) == DONE


def test_other_resources(cluster: Asker) -> None:
    group, subscription = unique("group"), unique("metrics")
    assert legacy(cluster, GROUP, group, ("consumer.session.timeout.ms", "45000")) == DONE
    assert legacy(cluster, GROUP, group) == DONE
    assert legacy(cluster, METRICS, subscription, ("interval.ms", "1000")) == DONE
    assert legacy(cluster, METRICS, subscription) == DONE
    for kind in (LOGGER, 0, 99):
        assert legacy(cluster, kind, NODE, ("root", "INFO")) == (REQUEST, f"Unknown resource type {int(kind)}")


def test_several_resources_in_one_request(cluster: Asker) -> None:
    names = [cluster.create().name, unique()]
    rows = [AlterConfigsResource(TOPIC, name, [AlterableConfig("retention.ms", "1000")]) for name in names]
    response = cluster.ask(AlterConfigsRequest(resources=rows), 2)
    assert [(row.resource_name, row.error_code) for row in response.responses] == [(names[0], 0), (names[1], 3)]
    assert cluster.ask(AlterConfigsRequest(resources=[]), 2).responses == []
