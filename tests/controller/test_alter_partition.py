"""ISR changes asked by leaders: every refusal of ReplicationControlManager, and what an accepted one does."""

from typing import Any

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.alter_partition import ANY_EPOCH, Altered, Wanted, alter_partitions
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.metadata.image import FeaturesImage, MetadataImage
from pykbroker.metadata.topics import RECOVERED, RECOVERING, PartitionImage
from pykbroker.protocol.error_codes import ErrorCode
from tests.controller.images import broker, image_of, partition_of, replayed, topic_of

CONFIG = BrokerConfig()
# Broker 4 is fenced, 5 shuts down.
BROKERS = [
    broker(1),
    broker(2),
    broker(3),
    broker(4, fenced=True),
    broker(5, in_controlled_shutdown=True),
]


def image(partition: PartitionImage, *, elr: bool = False) -> MetadataImage:
    """Topic t with one partition."""
    topic = topic_of("t", (1,))._replace(partitions={0: partition})
    made = image_of(*BROKERS, topics=[topic])
    if elr:
        features = {**made.features.finalized, "eligible.leader.replicas.version": 1}
        made = made._replace(features=FeaturesImage(features))
    return made


def state(replicas: tuple[int, ...] = (1, 2, 3), isr: tuple[int, ...] = (1,), **fields: Any) -> PartitionImage:
    """Leader epoch 4, partition epoch 7."""
    values = {"isr": isr, "leader_epoch": 4, "partition_epoch": 7, **fields}
    return partition_of(replicas)._replace(**values)


def alter(
    present: MetadataImage, isr: list[tuple[int, int]], by: int = 1, **fields: Any
) -> tuple[Altered, PartitionImage]:
    """The outcome, and the partition afterwards."""
    topic = present.topics.get("t")
    assert topic is not None
    wanted = Wanted(topic.id, 0, leader_epoch=4, partition_epoch=7, isr=isr)._replace(**fields)
    result = alter_partitions(present, CONFIG, by, present.brokers[by].epoch, [wanted])
    after = replayed(present, result.records).topics.partition("t", 0)
    assert after is not None
    return result.response[0], after


def with_epochs(*brokers: int) -> list[tuple[int, int]]:
    return [(number, 100 + number) for number in brokers]


def test_a_follower_has_caught_up() -> None:
    altered, after = alter(image(state()), with_epochs(1, 2))
    assert altered == Altered(0, after)
    assert (after.isr, after.leader, after.leader_epoch, after.partition_epoch) == ((1, 2), 1, 4, 8)


def test_a_follower_lags() -> None:
    altered, after = alter(image(state(isr=(1, 2, 3))), with_epochs(1, 3))
    assert altered == Altered(0, after)
    assert (after.isr, after.leader_epoch, after.partition_epoch) == ((1, 3), 4, 8)


def test_the_same_isr_again_is_granted_and_nothing_is_written() -> None:
    present = image(state(isr=(1, 2)))
    altered, after = alter(present, with_epochs(1, 2))
    assert altered == Altered(0, state(isr=(1, 2)))
    assert after == state(isr=(1, 2))


def test_who_does_not_know_epochs_is_not_asked_for_them() -> None:
    altered, after = alter(image(state()), [(1, ANY_EPOCH), (3, ANY_EPOCH)])
    assert (altered.code, after.isr) == (0, (1, 3))


@pytest.mark.parametrize(
    ("isr", "fields", "code"),
    [
        ([1, 2], {"topic_id": Uuid.random()}, ErrorCode.UNKNOWN_TOPIC_ID),
        ([1, 2], {"partition": 1}, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ([1, 2], {"leader_epoch": 5}, ErrorCode.NOT_CONTROLLER),
        ([1, 2], {"partition_epoch": 8}, ErrorCode.NOT_CONTROLLER),
        ([1, 2], {"leader_epoch": 3, "partition_epoch": 8}, ErrorCode.NOT_CONTROLLER),
        ([1, 2], {"leader_epoch": 3}, ErrorCode.FENCED_LEADER_EPOCH),
        ([1, 2], {"leader_epoch": 3, "partition_epoch": 6}, ErrorCode.FENCED_LEADER_EPOCH),
        ([1, 2], {"partition_epoch": 6}, ErrorCode.INVALID_UPDATE_VERSION),
        ([], {}, ErrorCode.INVALID_REQUEST),
        ([2, 3], {}, ErrorCode.INVALID_REQUEST),
        ([1, 9], {}, ErrorCode.INVALID_REQUEST),
        ([1, 1], {}, ErrorCode.INVALID_REQUEST),
        ([1], {"recovery_state": RECOVERING}, ErrorCode.INVALID_REQUEST),
        ([1], {"recovery_state": 7}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_refused(isr: list[int], fields: dict[str, Any], code: int) -> None:
    present = image(state())
    altered, after = alter(present, with_epochs(*isr), **fields)
    assert altered == Altered(code)
    assert after == state()


def test_only_the_leader_may_ask() -> None:
    altered, _ = alter(image(state(isr=(1, 2))), with_epochs(1, 2), by=2)
    assert altered == Altered(ErrorCode.INVALID_REQUEST)


@pytest.mark.parametrize(
    "member", [(4, 104), (5, 105), (2, 101), (9, 1)], ids=["fenced", "shutting down", "another epoch", "unknown"]
)
def test_ineligible_members(member: tuple[int, int]) -> None:
    altered, _ = alter(image(state((1, 2, 4, 5, 9))), [(1, 101), member])
    assert altered == Altered(ErrorCode.INELIGIBLE_REPLICA)


def test_a_broker_that_was_registered_anew_is_told_so_for_the_whole_request() -> None:
    with pytest.raises(KafkaError) as caught:
        alter_partitions(image(state()), CONFIG, 1, 100, [])
    assert caught.value.code == ErrorCode.STALE_BROKER_EPOCH


def test_a_leader_that_has_recovered_says_so() -> None:
    present = image(state(leader_recovery_state=RECOVERING))
    altered, after = alter(present, with_epochs(1), recovery_state=RECOVERED)
    assert (altered.code, after.leader_recovery_state, after.partition_epoch) == (0, RECOVERED, 8)
    assert alter(present, with_epochs(1), recovery_state=RECOVERING)[0].code == 0


def test_a_leader_that_recovers_is_alone() -> None:
    present = image(state(leader_recovery_state=RECOVERING))
    altered, _ = alter(present, with_epochs(1, 2), recovery_state=RECOVERING)
    assert altered == Altered(ErrorCode.INVALID_REQUEST)


def test_the_last_replica_that_comes_completes_a_reassignment() -> None:
    moving = state((2, 1, 3), isr=(1, 3), leader=1, adding_replicas=(2,), removing_replicas=(3,))
    altered, after = alter(image(moving), with_epochs(1, 2, 3))
    assert altered == Altered(0, after)
    assert (after.replicas, after.isr, after.is_reassigning) == ((2, 1), (1, 2), False)
    # A new leader epoch, so that the replica that went is fenced.
    assert (after.leader, after.leader_epoch) == (1, 5)


def test_a_leader_that_goes_by_a_reassignment_is_told_that_another_leads() -> None:
    moving = state((2, 3, 1), isr=(1, 3), leader=1, adding_replicas=(2,), removing_replicas=(1,))
    altered, after = alter(image(moving), with_epochs(1, 2, 3))
    assert altered == Altered(ErrorCode.NEW_LEADER_ELECTED)
    assert (after.replicas, after.isr, after.leader, after.leader_epoch) == ((2, 3), (2, 3), 2, 5)


def test_an_isr_below_the_minimum_leaves_eligible_leaders_behind() -> None:
    topic = image(state(isr=(1, 2, 3)), elr=True)
    config = BrokerConfig({"min.insync.replicas": "2"})
    found = topic.topics.get("t")
    assert found is not None
    wanted = Wanted(found.id, 0, 4, 7, with_epochs(1))
    result = alter_partitions(topic, config, 1, 101, [wanted])
    after = replayed(topic, result.records).topics.partition("t", 0)
    assert after is not None
    assert (after.isr, after.elr) == ((1,), (2, 3))
    again = Wanted(found.id, 0, 4, 8, with_epochs(1, 2))
    present = replayed(topic, result.records)
    full = replayed(present, alter_partitions(present, config, 1, 101, [again]).records).topics.partition("t", 0)
    assert full is not None
    assert (full.isr, full.elr) == ((1, 2), ())


def test_outcomes_come_in_the_order_of_the_request() -> None:
    present = image(state())
    topic = present.topics.get("t")
    assert topic is not None
    good = Wanted(topic.id, 0, 4, 7, with_epochs(1, 2))
    result = alter_partitions(
        present, CONFIG, 1, 101, [good._replace(partition=3), good, good._replace(leader_epoch=1)]
    )
    assert [row.code for row in result.response] == [3, 0, 74]
    assert len(result.records) == 1


def test_a_partition_named_twice_is_altered_twice() -> None:
    """Each row is decided on the state before the request, as by Kafka's controller; the last one holds."""
    present = image(state(isr=(1, 2, 3)))
    topic = present.topics.get("t")
    assert topic is not None
    rows = [Wanted(topic.id, 0, 4, 7, with_epochs(*isr)) for isr in ((1, 2), (1, 3))]
    result = alter_partitions(present, CONFIG, 1, 101, rows)
    assert [(row.code, row.state.isr, row.state.partition_epoch) for row in result.response if row.state] == [
        (0, (1, 2), 8),
        (0, (1, 3), 8),
    ]
    after = replayed(present, result.records).topics.partition("t", 0)
    assert after is not None
    assert (after.isr, after.partition_epoch) == ((1, 3), 9)
