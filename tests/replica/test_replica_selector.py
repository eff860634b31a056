from pykbroker.replica.replica_selector import select_rack_aware
from tests.replica.stand import NODE_ID, Stand, partition_image

RACKS = {NODE_ID: "a", 2: "b", 3: "b", 4: "b", 5: None}


def select(stand: Stand, rack: str, offset: int, **ends: int) -> int | None:
    """`ends`: r2=10 and so on, log end offsets."""
    for broker, name in RACKS.items():
        stand.register(broker, epoch=50, rack=name)
    stand.create("t")
    everybody = tuple(RACKS)
    stand.set_partition("t", partition_image(NODE_ID, 0)._replace(replicas=everybody, isr=(1, 2, 3, 5)))
    partition = stand.partition("t")
    assert partition.in_sync is not None
    for name, end in ends.items():
        follower = partition.in_sync.followers[int(name[1:])]
        follower.log_start_offset, follower.log_end_offset = 2, end
    assert stand.replicas.replication is not None
    return select_rack_aware(partition, stand.replicas.replication.peers, rack, offset)


def test_the_one_that_is_furthest(stand: Stand) -> None:
    assert select(stand, "b", 5, r2=10, r3=11, r4=99) == 3, "4 is out of sync"


def test_of_two_as_far_the_freshest_then_the_highest_id(stand: Stand) -> None:
    assert select(stand, "b", 5, r2=10, r3=10) == 3
    partition = stand.partition("t")
    assert partition.in_sync is not None
    partition.in_sync.followers[2].last_caught_up = 1.0
    assert stand.replicas.replication is not None
    assert select_rack_aware(partition, stand.replicas.replication.peers, "b", 5) == 2


def test_it_must_have_the_offset(stand: Stand) -> None:
    assert select(stand, "b", 1, r2=10, r3=10) is None
    assert select(stand, "b", 11, r2=10, r3=10) is None


def test_the_leaders_own_rack_and_racks_without_a_replica(stand: Stand) -> None:
    assert select(stand, "a", 5, r2=10) is None
    assert select(stand, "z", 5, r2=10) is None


def test_who_does_not_lead_sends_nobody_anywhere(stand: Stand) -> None:
    select(stand, "b", 5, r2=10)
    image = stand.partition("t").image
    stand.set_partition("t", image._replace(leader=2, leader_epoch=1))
    assert stand.replicas.replication is not None
    assert select_rack_aware(stand.partition("t"), stand.replicas.replication.peers, "b", 5) is None
