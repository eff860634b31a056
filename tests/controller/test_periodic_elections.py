"""When leaders are balanced, and when partitions without one get one at the price of data."""

from pathlib import Path
from typing import Any

import pytest

from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.elections import balance_leaders, elect_uncleanly
from pykbroker.controller.periodic_elections import PeriodicElections
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topics import PartitionImage
from tests.controller.images import broker, image_of, partition_of, replayed, topic_of
from tests.controller.nodes import ControllerNode
from tests.raft.logs import NOW

CONFIG = BrokerConfig()
UNCLEAN = BrokerConfig({"unclean.leader.election.enable": "true"})


def image(*partitions: PartitionImage) -> MetadataImage:
    """Brokers 1 to 3, 3 is fenced; topic t."""
    topic = topic_of("t", *[(1,)] * len(partitions))._replace(partitions=dict(enumerate(partitions)))
    return image_of(broker(1), broker(2), broker(3, fenced=True), topics=[topic])


def led_by(leader: int, replicas: tuple[int, ...] = (1, 2), **fields: Any) -> PartitionImage:
    return partition_of(replicas)._replace(leader=leader, **fields)


def leaders(present: MetadataImage, records: Any) -> list[int]:
    topic = replayed(present, records).topics.get("t")
    assert topic is not None
    return [partition.leader for partition in topic.partitions.values()]


def test_preferred_leaders_that_are_in_sync_lead_again() -> None:
    present = image(
        led_by(1),
        led_by(2),
        led_by(2, isr=(2,)),  # not in sync
        led_by(2, replicas=(3, 2)),  # not alive
        led_by(-1, isr=(3,), replicas=(3, 1)),  # nobody can lead
    )
    result = balance_leaders(present, CONFIG, 10)
    assert (len(result.records), result.response) == (1, False)
    assert leaders(present, result.records) == [1, 1, 2, 2, -1]


def test_a_limit_is_kept_and_told() -> None:
    present = image(*[led_by(2)] * 3)
    result = balance_leaders(present, CONFIG, 2)
    assert (len(result.records), result.response) == (2, True)
    assert leaders(present, result.records) == [1, 1, 2]
    assert elect_uncleanly(image(*[led_by(-1, isr=(3,))] * 3), UNCLEAN, 2).response


def test_unclean_elections_only_where_they_are_allowed() -> None:
    present = image(led_by(-1, isr=(3,), replicas=(3, 1)), led_by(2))
    assert elect_uncleanly(present, CONFIG, 10).records == []
    result = elect_uncleanly(present, UNCLEAN, 10)
    assert leaders(present, result.records) == [1, 2]
    partition = replayed(present, result.records).topics.partition("t", 0)
    assert partition is not None
    assert (partition.isr, partition.leader_recovery_state) == ((1,), 1)


# When


def test_each_has_its_interval() -> None:
    config = BrokerConfig(
        {"leader.imbalance.check.interval.seconds": "20", "unclean.leader.election.interval.ms": "30000"}
    )
    periodic = PeriodicElections(config, 100.0)
    assert periodic.next_deadline() == 120.0
    assert list(periodic.due(119.9)) == []
    (decide,) = periodic.due(121.0)
    assert decide(image(led_by(2))).records
    assert periodic.next_deadline() == 130.0
    assert len(list(periodic.due(141.0))) == 2


def test_who_wants_no_balance_gets_none() -> None:
    config = BrokerConfig({"auto.leader.rebalance.enable": "false", "leader.imbalance.check.interval.seconds": "1"})
    assert PeriodicElections(config, 0.0).next_deadline() == 300.0


def test_more_than_fits_goes_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pykbroker.controller.periodic_elections.MAX_ELECTIONS", 2)
    periodic = PeriodicElections(BrokerConfig({"leader.imbalance.check.interval.seconds": "20"}), 0.0)
    present = image(*[led_by(2)] * 3)
    for deadline, left in ((20.0, 1), (40.0, 0)):
        (decide,) = periodic.due(20.0)
        present = replayed(present, decide(present).records)
        assert leaders(present, []).count(2) == left
        assert periodic.next_deadline() == deadline


def test_the_controller_balances(tmp_path: Path) -> None:
    clock = ManualClock(wall_ms=NOW)
    node = ControllerNode(tmp_path, clock=clock, leader_imbalance_check_interval_seconds=5).start()
    node.bring_up(1, 2)
    node.create("t", [2, 1])
    node.heartbeat(2, want_fence=True)
    assert node.partition("t").leader == 1
    node.heartbeat(2)
    topic = node.image.topics.get("t")
    assert topic is not None
    # Its leader says that 2 has caught up.
    from pykbroker.controller.alter_partition import Wanted, alter_partitions

    state = node.partition("t")
    wanted = Wanted(topic.id, 0, state.leader_epoch, state.partition_epoch, [(1, -1), (2, -1)])
    node.controller.submit(lambda image: alter_partitions(image, node.config, 1, node.epochs[1], [wanted])).result()
    assert node.controller.next_deadline() <= clock.monotonic() + 5
    clock.advance(5.0)
    node.controller.on_deadline(clock.monotonic())
    assert (node.partition("t").leader, node.partition("t").isr) == (2, (1, 2))
