"""pykbroker as broker and controller in one; real brokers that joined it hold replicas, groups and transactions too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.cluster.mixed import KAFKA, OURS, MixedCluster, await_port, end, eventually
from compat_tests.cluster.mixed_runs import (
    INTERNAL,
    await_controller,
    await_more,
    history,
    kill_and_start,
    look_at_copies,
)
from compat_tests.cluster.nodes import CONTROLLER_ID, OurNode, properties_file
from compat_tests.history.clients import Feeder, Reader, Writer
from compat_tests.history.runs import Run, verify
from tools.oracle.cluster import HOST, read_properties

pytestmark = [pytest.mark.own_broker, pytest.mark.timeout(600)]


class CombinedCluster(MixedCluster):
    """Broker 100 is the controller too."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, OURS, {CONTROLLER_ID: OURS, 1: KAFKA, 2: KAFKA})
        broker = read_properties(self.brokers[CONTROLLER_ID].properties)
        both = {
            **broker,
            "process.roles": "broker,controller",
            "listeners": f"{broker['listeners']},CONTROLLER://{HOST}:{self.controller_port}",
        }
        self.combined = OurNode(properties_file(folder, both))
        self.controller = self.brokers[CONTROLLER_ID] = self.combined

    def start(self) -> None:
        self.combined.start()
        others = [self.brokers[number] for number in self.of_kind(KAFKA)]
        for node in others:
            node.start()
        for node in others:
            await_port(node)
        self.await_unfenced(*self.brokers)

    def stop(self) -> None:
        """The controller last: the others ask it for leave."""
        for number in sorted(self.brokers):
            end(self.brokers[number])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[CombinedCluster]:
    made = CombinedCluster(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()
    assert made.combined.complaints() == []


def test_it_is_restarted_under_load(cluster: CombinedCluster) -> None:
    one = history(cluster, "combined")
    for kind, name in ((Feeder, "feeder"), (Writer, "writer"), (Reader, "reader")):
        one.add(kind, name)
    one.add_group("member", 2)
    one.add_pipeline(1)
    one.start()
    try:
        await_more(one)
        cluster.combined.kill()
        comes_back(cluster, one)
        kill_and_start(cluster, one, cluster.of_kind(KAFKA)[0])
        assert cluster.combined.stop() == 0
        comes_back(cluster, one)
    finally:
        one.stop()
    verify(one)
    look_at_copies(cluster, one.topic, one.target, *INTERNAL)


def comes_back(cluster: CombinedCluster, one: Run) -> None:
    """It knows the others as they were, leads what is its own to lead, and they have it in their ISRs again."""
    cluster.combined.start()
    await_controller(cluster)
    cluster.await_unfenced(*cluster.brokers)
    cluster.await_all_in_sync(one.topic, one.target, *INTERNAL)
    cluster.elect_preferred(one.topic)
    eventually(lambda: CONTROLLER_ID in cluster.leaders(one.topic), lambda: cluster.leaders(one.topic))
    await_more(one)
