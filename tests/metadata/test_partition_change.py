import pytest

from pykbroker.ids import DIRECTORY_MIGRATING
from pykbroker.metadata.partition_change import clear_elr, merge, partition_from
from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from tests.metadata.history import uuid
from tests.metadata.test_topics import PARTITION


def test_a_record_becomes_an_image():
    record = PartitionRecord(
        partition_id=0,
        topic_id=uuid(9),
        replicas=[1, 2],
        isr=[1],
        leader=1,
        directories=[uuid(1), uuid(2)],
        leader_epoch=4,
        partition_epoch=5,
        leader_recovery_state=1,
        adding_replicas=[2],
        removing_replicas=[1],
        eligible_leader_replicas=[2],
        last_known_elr=[1],
    )
    assert partition_from(record) == PARTITION._replace(
        leader_epoch=4,
        partition_epoch=5,
        leader_recovery_state=1,
        adding_replicas=(2,),
        removing_replicas=(1,),
        elr=(2,),
        last_known_elr=(1,),
    )


@pytest.mark.parametrize("directories", [[], [DIRECTORY_MIGRATING] * 2])
def test_without_directories_they_are_migrating(directories):
    record = PartitionRecord(replicas=[1, 2], isr=[1], leader=1, directories=directories)
    assert partition_from(record).directories == (DIRECTORY_MIGRATING,) * 2


def test_directories_must_be_as_many_as_replicas():
    with pytest.raises(ValueError, match="1 directories for 2 replicas"):
        partition_from(PartitionRecord(replicas=[1, 2], directories=[uuid(1)]))
    with pytest.raises(ValueError, match="2 directories for 3 replicas"):
        merge(PARTITION, PartitionChangeRecord(replicas=[1, 2, 3]))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"isr": []}, {"isr": ()}),
        ({"leader": -1}, {"leader": -1, "leader_epoch": 1}),
        ({"leader": 1}, {"leader_epoch": 1}),
        ({"leader_recovery_state": 1}, {"leader_recovery_state": 1}),
        ({"adding_replicas": [3], "removing_replicas": [1]}, {"adding_replicas": (3,), "removing_replicas": (1,)}),
        (
            {"replicas": [2, 1], "directories": [uuid(2), uuid(1)]},
            {"replicas": (2, 1), "directories": (uuid(2), uuid(1))},
        ),
        ({"eligible_leader_replicas": [2], "last_known_elr": [1]}, {"elr": (2,), "last_known_elr": (1,)}),
    ],
)
def test_a_change_takes_over_what_it_names_and_bumps_the_epochs(change, expected):
    assert merge(PARTITION, PartitionChangeRecord(**change)) == PARTITION._replace(partition_epoch=1, **expected)


def test_what_was_set_can_be_emptied():
    before = PARTITION._replace(elr=(2,), last_known_elr=(1,))
    after = merge(before, PartitionChangeRecord(eligible_leader_replicas=[], last_known_elr=[]))
    assert (after.elr, after.last_known_elr) == ((), ())


def test_clearing_the_elr_is_a_change_only_where_there_is_one():
    assert clear_elr(PARTITION) is PARTITION
    assert clear_elr(PARTITION._replace(elr=(2,))) == PARTITION._replace(partition_epoch=1)
    assert clear_elr(PARTITION._replace(last_known_elr=(2,))) == PARTITION._replace(partition_epoch=1)
