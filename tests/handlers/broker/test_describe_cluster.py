"""DescribeCluster, as the real Kafka 4.3.1 answers it."""

from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_cluster import DescribeClusterRequest
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import metadata

ALL_OPERATIONS, NOT_ASKED = 8096, -(2**31)
BROKERS, CONTROLLERS = 1, 2


def describe(asker: Asker, version: int, **fields: Any) -> Any:
    return asker.ask(DescribeClusterRequest(**fields), version)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_the_cluster(cluster: Asker, version: int) -> None:
    response = describe(cluster, version)
    assert (response.error_code, response.error_message, response.throttle_time_ms) == (0, None, 0)
    assert (response.endpoint_type, response.controller_id) == (BROKERS, 1)
    assert response.cluster_authorized_operations == NOT_ASKED
    told = metadata(cluster, [])
    assert response.cluster_id == told.cluster_id
    (broker,) = response.brokers
    assert (broker.broker_id, broker.host, broker.port) == (1, told.brokers[0].host, told.brokers[0].port)
    assert (broker.rack, broker.is_fenced) == (None, False)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_authorized_operations(cluster: Asker, version: int) -> None:
    response = describe(cluster, version, include_cluster_authorized_operations=True)
    assert response.cluster_authorized_operations == ALL_OPERATIONS


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("endpoint_type", "code", "message"),
    [
        (
            CONTROLLERS,
            ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
        ),
        (0, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type 0"),
        (3, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type 3"),
    ],
)
def test_other_endpoints(cluster: Asker, version: int, endpoint_type: int, code: int, message: str) -> None:
    response = describe(cluster, version, endpoint_type=endpoint_type, include_cluster_authorized_operations=True)
    assert (response.error_code, response.error_message) == (code, message)
    assert (response.endpoint_type, response.cluster_id, response.controller_id) == (BROKERS, "", -1)
    assert (response.brokers, response.cluster_authorized_operations) == ([], NOT_ASKED)


def test_fenced_brokers_are_told_when_asked_for(cluster: Asker) -> None:
    assert len(describe(cluster, 2, include_fenced_brokers=True).brokers) == 1
