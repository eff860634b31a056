"""Three brokers of ours and our controller on a network that loses packets silently, or is slow, under load."""

import time
from collections.abc import Iterator

import pytest

from compat_tests.cluster.cuts import (
    ASIDE,
    LAG,
    SECONDS,
    SESSION,
    CutCluster,
    a_broker_is_cut_off_from_the_controller,
    a_leader_is_cut_off_from_everything,
    cut_cluster,
    one_record,
)
from compat_tests.cluster.mixed import CONTROLLER, OURS, eventually
from compat_tests.wire.raw_client import RawClient

# Holds no partition of the loads. librdkafka forgets all brokers, for ever, where a Metadata answer has none as all are
# fenced: this one never is.
BYSTANDER = 4
pytestmark = [pytest.mark.own_broker, pytest.mark.network, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CutCluster]:
    with cut_cluster(tmp_path_factory.mktemp("cuts"), OURS, dict.fromkeys((1, 2, 3, BYSTANDER), OURS)) as made:
        yield made


def test_a_leader_is_cut_off_from_everything(cluster: CutCluster, topic: str) -> None:
    """Others lead when its session is over; whoever still reaches it is promised nothing."""
    with cluster.load(topic) as load:
        assert a_leader_is_cut_off_from_everything(cluster, load, 1) > SESSION - 1


def test_a_leader_is_cut_off_from_one_follower(cluster: CutCluster, topic: str) -> None:
    """Both reach the controller: nobody is fenced, the follower leaves the ISR and comes back."""
    with cluster.load(topic) as load:
        before = cluster.state(topic, 3)
        led = before.led_by(1)
        cluster.net.cut("1", "2")
        eventually(lambda: all(cluster.state(topic, 3).isr[number] == {1, 3} for number in led), seconds=SECONDS)
        load.await_progress()
        after = cluster.state(topic, 3)
        assert (after.leaders, after.unfenced) == (before.leaders, before.unfenced)
        cluster.net.heal()
        cluster.await_all_in_sync(topic)


def test_a_broker_is_cut_off_from_the_controller(cluster: CutCluster, topic: str) -> None:
    """It is fenced, and clients that do not know are promised nothing."""
    with cluster.load(topic) as load:
        assert a_broker_is_cut_off_from_the_controller(cluster, load, 2) > SESSION - 1


def test_what_a_broker_answers_is_lost(cluster: CutCluster, topic: str) -> None:
    """Requests of clients, followers and its own to the controller get there: nothing is doubled."""
    silent = cluster.create_on(f"{topic}-silent", 3)
    with cluster.net.inside(ASIDE):
        client = RawClient(cluster.addresses[3])
    with client, cluster.load(topic) as load:
        cluster.net.mute("3")
        client.send(one_record(silent, b"it arrives", acks=1), 9)
        eventually(lambda: cluster.file_contains(3, silent, b"it arrives"), seconds=SESSION)
        cluster.await_others_lead(topic, 3)
        load.await_progress()


def test_the_controller_is_away(cluster: CutCluster, topic: str) -> None:
    """Within a session nobody notices. After it all three are fenced: leaders go on without the controller, and are
    elected again when it is back."""
    with cluster.load(topic) as load:
        before = cluster.state(topic, 1)
        cluster.net.cut_off(CONTROLLER)
        time.sleep(SESSION / 4)
        cluster.net.heal()
        time.sleep(SESSION)
        assert cluster.state(topic, 1) == before
        cluster.net.cut_off(CONTROLLER, str(BYSTANDER))
        deadline = time.monotonic() + SESSION * 1.5
        while time.monotonic() < deadline:
            load.await_progress()
        assert cluster.state(topic, 1) == before
        cluster.net.heal()
        eventually(lambda: not cluster.state(topic, 1).led_by(-1) and cluster.state(topic, 1) != before)


def test_a_slow_link_to_one_follower(cluster: CutCluster, topic: str) -> None:
    """0.2 s there and back: it stays in all ISRs, and acks=all goes on, as fast as records are sent."""
    with cluster.load(topic) as load:
        before = cluster.state(topic, 3)
        with cluster.net.slow("1", "2", 0.1):
            assert cluster.seconds_to_connect(1, 2) >= 0.2
            load.await_progress()
            started, acknowledged = time.monotonic(), sum(map(len, load.acknowledged.values()))
            while time.monotonic() < started + 1.5 * LAG:
                assert cluster.state(topic, 3) == before
                time.sleep(0.2)
            taken = sum(map(len, load.acknowledged.values())) - acknowledged
        assert taken > 100
