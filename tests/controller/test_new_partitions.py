"""New partitions: replicas, ISR, leader, directories."""

import random
from collections.abc import Sequence

import pytest

from pykbroker.controller.new_partitions import default_directory, manual_assignment, partition_record, placed
from pykbroker.errors import KafkaError
from pykbroker.ids import DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from tests.controller.images import broker, directory, image_of

TOPIC_ID = Uuid.random()
BEFORE_DIRECTORIES = 16  # metadata.version 3.7-IV1
IMAGE = image_of(broker(1), broker(2), broker(3, fenced=True), broker(4, in_controlled_shutdown=True))


@pytest.mark.parametrize(
    ("replicas", "isr"), [([1], [1]), ([2, 1], [2, 1]), ([3, 2, 4, 1], [2, 1]), ([1, 3], [1]), ([3, 4, 2], [2])]
)
def test_active_brokers_are_in_sync_at_once(replicas: list[int], isr: list[int]) -> None:
    assert manual_assignment(IMAGE, 0, replicas, None) == isr


@pytest.mark.parametrize(
    ("replicas", "factor", "message"),
    [
        ([], None, "The manual partition assignment includes an empty replica list."),
        ([9], None, "The manual partition assignment includes broker 9, but no such broker is registered."),
        ([9, 9, 8], None, "The manual partition assignment includes broker 8, but no such broker is registered."),
        ([2, 1, 2], None, "The manual partition assignment includes the broker 2 more than once."),
        (
            [1, 2],
            3,
            "The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with "
            "previous partitions, which have 3 replica(s).",
        ),
        (
            [3, 4],
            2,
            "All brokers specified in the manual partition assignment for partition 7 are fenced or in controlled "
            "shutdown.",
        ),
    ],
)
def test_assignments_that_are_refused(replicas: Sequence[int], factor: int | None, message: str) -> None:
    with pytest.raises(KafkaError) as refused:
        manual_assignment(IMAGE, 7, replicas, factor)
    assert (refused.value.code, refused.value.message) == (ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)


def test_placed_partitions() -> None:
    for replicas, isr in placed(IMAGE, 20, 3, random.Random(1)):
        assert set(replicas) == {1, 2, 3}, "not on the broker that shuts down"
        assert list(isr) == list(replicas[:2]), "the fenced one comes last and is not in sync"


def test_nothing_to_place_on() -> None:
    with pytest.raises(KafkaError) as refused:
        placed(image_of(broker(1, fenced=True)), 1, 1, random.Random(1))
    assert refused.value.code == ErrorCode.INVALID_REPLICATION_FACTOR


def test_the_record() -> None:
    record = partition_record(IMAGE, TOPIC_ID, 5, [3, 2, 1], [2, 1])
    assert (record.topic_id, record.partition_id) == (TOPIC_ID, 5)
    assert (record.replicas, record.isr, record.leader) == ([3, 2, 1], [2, 1], 2)
    assert (record.leader_epoch, record.partition_epoch, record.leader_recovery_state) == (0, 0, 0)
    assert (record.adding_replicas, record.removing_replicas) == ([], [])
    assert record.directories == [directory(3), directory(2), directory(1)]


def test_the_record_before_directories() -> None:
    image = image_of(broker(1), metadata_version=BEFORE_DIRECTORIES)
    assert partition_record(image, TOPIC_ID, 0, [1], [1]).directories == []


def test_the_directory_of_a_new_replica() -> None:
    image = image_of(broker(1), broker(2, directories=(directory(2, 0), directory(2, 1))), broker(3, directories=()))
    assert default_directory(image, 1) == directory(1)
    assert default_directory(image, 2) == DIRECTORY_UNASSIGNED, "the broker chooses"
    assert default_directory(image, 3) == DIRECTORY_MIGRATING
    assert default_directory(image, 9) == DIRECTORY_UNASSIGNED
    assert default_directory(image_of(broker(1), metadata_version=BEFORE_DIRECTORIES), 1) == DIRECTORY_MIGRATING
