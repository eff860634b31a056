"""ListConfigResources, as the real Kafka 4.3.1 answers it."""

import pytest

from pykbroker.protocol.enums import ConfigResourceType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.list_config_resources import ListConfigResourcesRequest
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import eventually, unique
from tests.handlers.config_dialogue import DONE, GROUP, METRICS, SET, TOPIC, incremental

BROKER, LOGGER = ConfigResourceType.BROKER, ConfigResourceType.BROKER_LOGGER
ORDER = [GROUP, METRICS, LOGGER, BROKER, TOPIC]


def listed(asker: Asker, *kinds: int, version: int = 1) -> list[tuple[int, str]]:
    response = asker.ask(ListConfigResourcesRequest(resource_types=list(kinds)), version)
    assert (response.throttle_time_ms, response.error_code) == (0, 0)
    return [(row.resource_type, row.resource_name) for row in response.config_resources]


@pytest.fixture
def names(cluster: Asker) -> dict[int, str]:
    """A resource of each kind."""
    topic, group, metrics = cluster.create().name, unique("group"), unique("metrics")
    assert incremental(cluster, GROUP, group, ("consumer.session.timeout.ms", SET, "50000")) == DONE
    assert incremental(cluster, METRICS, metrics, ("interval.ms", SET, "5000")) == DONE
    eventually(lambda: listed(cluster), lambda rows: {(GROUP, group), (METRICS, metrics)} <= set(rows))
    return {TOPIC: topic, GROUP: group, METRICS: metrics, BROKER: "1", LOGGER: "1"}


def test_everything_by_kind(cluster: Asker, names: dict[int, str]) -> None:
    rows = listed(cluster)
    assert set(names.items()) <= set(rows)
    assert list(dict.fromkeys(kind for kind, _ in rows)) == ORDER
    assert listed(cluster, TOPIC, LOGGER, BROKER, METRICS, GROUP) == rows


@pytest.mark.parametrize("kind", ORDER)
def test_one_kind(cluster: Asker, names: dict[int, str], kind: int) -> None:
    rows = listed(cluster, kind)
    assert (kind, names[kind]) in rows
    assert {of for of, _ in rows} == {kind}
    assert listed(cluster, kind, kind) == rows


def test_at_first_there_were_client_metrics_alone(cluster: Asker, names: dict[int, str]) -> None:
    rows = listed(cluster, version=0)
    assert (METRICS, names[METRICS]) in rows
    assert {kind for kind, _ in rows} == {METRICS}


@pytest.mark.parametrize("kinds", [[0], [3], [-1], [TOPIC, BROKER, 3]])
def test_unknown_kinds(cluster: Asker, kinds: list[int]) -> None:
    response = cluster.ask(ListConfigResourcesRequest(resource_types=kinds), 1)
    assert (response.error_code, response.config_resources) == (ErrorCode.UNSUPPORTED_VERSION, [])
