"""Packets are lost between brokers and a controller of either kind: the same happens to a broker of either kind.

Each test has one of the controllers, with PYKBROKER_MIXED=all both.
"""

from collections.abc import Iterator

import pytest

from compat_tests.cluster.cuts import (
    SESSION,
    CutCluster,
    a_broker_is_cut_off_from_the_controller,
    a_leader_is_cut_off_from_everything,
    cut_cluster,
)
from compat_tests.cluster.mixed import KAFKA, OURS
from compat_tests.cluster.test_mixed_cluster import under

pytestmark = [pytest.mark.own_broker, pytest.mark.network, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CutCluster]:
    with cut_cluster(tmp_path_factory.mktemp("mixed-cuts"), request.param, {1: KAFKA, 2: OURS, 3: OURS}) as made:
        yield made


@under(KAFKA)
def test_a_broker_of_ours_is_cut_off(cluster: CutCluster, topic: str) -> None:
    cut_off_twice(cluster, topic, 2)


@under(OURS)
def test_a_broker_of_kafka_is_cut_off(cluster: CutCluster, topic: str) -> None:
    cut_off_twice(cluster, topic, 1)


def cut_off_twice(cluster: CutCluster, topic: str, victim: int) -> None:
    """From everything, then from the controller."""
    with cluster.load(topic) as load:
        assert a_leader_is_cut_off_from_everything(cluster, load, victim) > SESSION - 1
        cluster.lead_as_before(topic)
        assert a_broker_is_cut_off_from_the_controller(cluster, load, victim) > SESSION - 1
