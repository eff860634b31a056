"""Reassignments among several brokers: begun, completed, cancelled, refused."""

from collections.abc import Sequence

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.leader_election import Assignment
from pykbroker.controller.reassignment import Ongoing, Revert, Wanted, alter_reassignments, ongoing, revert, target
from pykbroker.errors import KafkaError
from pykbroker.ids import DIRECTORY_UNASSIGNED
from pykbroker.metadata.image import TOPIC_RESOURCE, ConfigsImage, MetadataImage
from pykbroker.metadata.topics import PartitionImage, TopicImage
from pykbroker.protocol.error_codes import ErrorCode
from tests.controller.images import broker, directory, image_of, partition_of, replayed, topic_of

CONFIG = BrokerConfig()


def image(*partitions: PartitionImage) -> MetadataImage:
    """Brokers 1 to 5, the last with two directories; topic t."""
    made = topic_of("t", *[(1,)] * len(partitions))
    topic = made._replace(partitions=dict(enumerate(partitions)))
    brokers = [broker(number) for number in (1, 2, 3, 4)]
    return image_of(*brokers, broker(5, directories=(directory(5), directory(5, 1))), topics=[topic])


def moving(
    replicas: tuple[int, ...], isr: tuple[int, ...], adding: tuple[int, ...] = (), **fields: object
) -> PartitionImage:
    state = partition_of(replicas)._replace(isr=isr, leader=isr[0] if isr else -1, adding_replicas=adding)
    return state._replace(**fields)  # type: ignore[arg-type]


def alter(
    state: MetadataImage, replicas: Sequence[int] | None, *, may_change_factor: bool = True
) -> tuple[PartitionImage, KafkaError | None]:
    """The partition afterwards, and the error."""
    wanted = [Wanted("t", 0, replicas)]
    result = alter_reassignments(state, CONFIG, wanted, may_change_factor=may_change_factor)
    partition = replayed(state, result.records).topics.partition("t", 0)
    assert partition is not None
    return partition, result.response[0]


def test_new_replicas_join_and_old_ones_stay_until_they_are_in_sync() -> None:
    partition, error = alter(image(partition_of((1, 2))), [3, 5])
    assert error is None
    assert (partition.replicas, partition.adding_replicas, partition.removing_replicas) == (
        (3, 5, 1, 2),
        (3, 5),
        (1, 2),
    )
    assert (partition.isr, partition.leader, partition.leader_epoch) == ((1, 2), 1, 0)
    assert partition.directories == (directory(3), DIRECTORY_UNASSIGNED, directory(1), directory(2))


def test_an_order_alone_is_done_at_once() -> None:
    partition, error = alter(image(partition_of((1, 2))), [2, 1])
    assert (error, partition.replicas, partition.is_reassigning) == (None, (2, 1), False)
    assert partition.directories == (directory(2), directory(1))
    assert partition.leader == 1, "the preferred leader leads when it is asked to"


def test_fewer_replicas_are_done_at_once_and_the_epoch_fences_the_rest() -> None:
    partition, error = alter(image(partition_of((1, 2, 3))), [2])
    assert (error, partition.replicas, partition.isr, partition.is_reassigning) == (None, (2,), (2,), False)
    assert (partition.leader, partition.leader_epoch) == (2, 1)


def test_the_same_again_changes_nothing() -> None:
    state = image(partition_of((1, 2)))
    result = alter_reassignments(state, CONFIG, [Wanted("t", 0, [1, 2])], may_change_factor=True)
    assert (result.records, result.response) == ([], [None])


@pytest.mark.parametrize(
    ("partition", "replicas", "factor"),
    [
        (partition_of((1, 2)), [1], 2),
        (partition_of((1, 2)), [1, 2, 3], 2),
        # Of those that come and go only those that will be there count.
        (moving((3, 1), (1,), (3,), removing_replicas=(1,)), [1, 2], 1),
    ],
)
def test_a_number_that_must_not_change(partition: PartitionImage, replicas: list[int], factor: int) -> None:
    state = image(partition)
    after, error = alter(state, replicas, may_change_factor=False)
    assert error is not None
    assert (error.code, error.message, after) == (
        ErrorCode.INVALID_REPLICATION_FACTOR,
        f"The replication factor is changed from {factor} to {len(replicas)}",
        partition,
    )
    assert alter(state, [4] * factor if factor == 1 else [4, 3], may_change_factor=False)[1] is None


def test_cancelled_it_is_as_before() -> None:
    state = image(moving((3, 4, 1, 2), (1, 2, 3), (3, 4), removing_replicas=(1, 2)))
    partition, error = alter(state, None)
    assert (error, partition.replicas, partition.isr, partition.is_reassigning) == (None, (1, 2), (1, 2), False)
    assert (partition.leader, partition.leader_epoch) == (1, 1)


def test_cancelling_must_not_lose_records() -> None:
    state = image(moving((2, 1), (2,), (2,), removing_replicas=(1,)))
    _, error = alter(state, None)
    assert error is not None
    assert (error.code, error.message) == (
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "Unable to revert partition assignment for t:0 because it would require an unclean leader election.",
    )
    configs = ConfigsImage({(TOPIC_RESOURCE, "t"): {"unclean.leader.election.enable": "true"}})
    partition, error = alter(state._replace(configs=configs), None)
    assert (error, partition.replicas, partition.isr, partition.leader) == (None, (1,), (1,), 1)


def test_there_is_nothing_to_cancel() -> None:
    _, error = alter(image(partition_of((1, 2))), None)
    assert error is not None
    assert (error.code, error.message) == (ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, None)


@pytest.mark.parametrize(
    ("partition", "replicas", "expected"),
    [
        (partition_of((1, 2)), (1, 2), Assignment((1, 2))),
        (partition_of((2, 1)), (3,), Assignment((3, 1, 2), (1, 2), (3,))),
        # What goes on already and is not contradicted goes on.
        (moving((3, 1), (1,), (3,)), (1, 3), Assignment((1, 3), (), (3,))),
        (moving((3, 1), (1,), (3,)), (4, 3), Assignment((4, 3, 1), (1,), (4,))),
    ],
)
def test_targets(partition: PartitionImage, replicas: tuple[int, ...], expected: Assignment) -> None:
    assert target(partition, replicas) == expected


@pytest.mark.parametrize(
    ("partition", "expected"),
    [
        (moving((3, 1, 2), (1, 3), (3,)), Revert((1, 2), (1,), False)),
        (moving((3, 1, 2), (3,), (3,)), Revert((1, 2), (1,), True)),
    ],
)
def test_reverts(partition: PartitionImage, expected: Revert) -> None:
    assert revert(partition) == expected


def test_a_revert_that_leaves_nobody() -> None:
    with pytest.raises(KafkaError, match="addingReplicas contains all replicas"):
        revert(moving((3,), (3,), (3,)))


def test_what_goes_on() -> None:
    state = image(partition_of((1,)), moving((3, 1), (1,), (3,), removing_replicas=(1,)))
    expected = [("t", [Ongoing(1, (3, 1), (3,), (1,))])]
    assert ongoing(state, None) == expected
    assert ongoing(state, [("t", [0, 1, 2]), ("other", [0])]) == expected
    assert ongoing(state, [("t", [0])]) == ongoing(state, []) == []


def test_one_batch_for_all_that_can_be() -> None:
    state = image(partition_of((1,)), partition_of((2,)))
    wanted = [Wanted("t", 0, [3]), Wanted("t", 1, [9]), Wanted("t", 1, [4])]
    result = alter_reassignments(state, CONFIG, wanted, may_change_factor=True)
    assert [error and error.code for error in result.response] == [None, ErrorCode.INVALID_REPLICA_ASSIGNMENT, None]
    after = replayed(state, result.records).topics.get("t")
    assert isinstance(after, TopicImage)
    assert [partition.adding_replicas for partition in after.partitions.values()] == [(3,), (4,)]
