"""Placement of replicas: distinct, leaders unfenced, spread over racks, evenly (StripedReplicaPlacer)."""

import random
from collections import Counter

import pytest

from pykbroker.controller.replica_placement import UsableBroker, place, usable_brokers
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from tests.controller.images import broker, directory

SEEDS = range(20)


def brokers(*ids: int, rack: str | None = None, fenced: bool = False) -> list[UsableBroker]:
    return [UsableBroker(broker_id, rack, fenced) for broker_id in ids]


@pytest.mark.parametrize("seed", SEEDS)
def test_replicas_are_distinct_and_leaders_take_turns(seed: int) -> None:
    placements = place(brokers(3, 0, 2, 1), 40, 3, random.Random(seed))
    assert len(placements) == 40
    for replicas in placements:
        assert len(set(replicas)) == 3
    for start in range(0, 40, 4):
        assert {replicas[0] for replicas in placements[start : start + 4]} == {0, 1, 2, 3}


@pytest.mark.parametrize("seed", SEEDS)
def test_neighbours_share_the_load(seed: int) -> None:
    (*ids,) = (0, 1, 2, 3)
    counts = Counter(tuple(replicas) for replicas in place(brokers(*ids), 200, 2, random.Random(seed)))
    assert set(counts) == {(a, b) for a in ids for b in ids if a != b}
    assert max(counts.values()) < 40, "each pair has 17 on average"


@pytest.mark.parametrize("seed", SEEDS)
def test_fenced_brokers_come_last(seed: int) -> None:
    usable = [*brokers(0, 2, 3), *brokers(1, 4, fenced=True)]
    assert not {1, 4} & {b for replicas in place(usable, 12, 3, random.Random(seed)) for b in replicas}
    for replicas in place(usable, 12, 5, random.Random(seed)):
        assert set(replicas[:3]) == {0, 2, 3}
        assert set(replicas[3:]) == {1, 4}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_single_unfenced_broker_leads_everything(seed: int) -> None:
    usable = [*brokers(0), *brokers(1, 2, fenced=True)]
    for replicas in place(usable, 9, 2, random.Random(seed)):
        assert replicas[0] == 0
        assert replicas[1] in (1, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_replicas_are_spread_over_racks(seed: int) -> None:
    usable = [*brokers(10, 11, rack="1"), *brokers(20, 21, rack="2"), *brokers(30, 31, rack="3")]
    placements = place(usable, 18, 3, random.Random(seed))
    for replicas in placements:
        assert {broker_id // 10 for broker_id in replicas} == {1, 2, 3}
    assert {replicas[0] for replicas in placements[:6]} == {10, 11, 20, 21, 30, 31}


@pytest.mark.parametrize("seed", SEEDS)
def test_racks_without_an_unfenced_broker_never_lead(seed: int) -> None:
    usable = [
        *brokers(10, 11, rack="1"),
        *brokers(20, 21, rack="2", fenced=True),
        *brokers(30, rack="3", fenced=True),
        *brokers(40, rack="4"),
    ]
    for replicas in place(usable, 30, 4, random.Random(seed)):
        assert replicas[0] in (10, 11, 40)
        assert {broker_id // 10 for broker_id in replicas} == {1, 2, 3, 4}


@pytest.mark.parametrize("seed", SEEDS)
def test_more_replicas_than_racks(seed: int) -> None:
    usable = [*brokers(10, 11, 12, rack="1"), *brokers(20, rack="2")]
    for replicas in place(usable, 12, 4, random.Random(seed)):
        assert set(replicas) == {10, 11, 12, 20}


def test_the_start_is_a_matter_of_chance() -> None:
    assert len({place(brokers(1, 2, 3), 1, 1, random.Random(seed))[0][0] for seed in SEEDS}) == 3


@pytest.mark.parametrize(
    ("usable", "factor", "message"),
    [
        (brokers(1), 0, "Invalid replication factor 0: the replication factor must be positive."),
        ([], 1, "All brokers are currently fenced, or have all their log directories cordoned."),
        (
            brokers(1, 2, fenced=True),
            1,
            "All brokers are currently fenced, or have all their log directories cordoned.",
        ),
        (
            brokers(1, 2),
            3,
            "The target replication factor of 3 cannot be reached because only 2 broker(s) are registered or some "
            "brokers have all their log directories cordoned.",
        ),
    ],
)
def test_what_cannot_be_placed(usable: list[UsableBroker], factor: int, message: str) -> None:
    with pytest.raises(KafkaError) as refused:
        place(usable, 1, factor, random.Random(1))
    assert (refused.value.code, refused.value.message) == (ErrorCode.INVALID_REPLICATION_FACTOR, message)


def test_usable_brokers() -> None:
    left, right = directory(1, 0), directory(1, 1)
    registered = [
        broker(1, rack="r"),
        broker(2, fenced=True),
        broker(3, in_controlled_shutdown=True),
        broker(4, directories=(left,), cordoned_directories=(left,)),
        broker(5, directories=(left, right), cordoned_directories=(right,)),
        broker(6, directories=(), cordoned_directories=(right,)),
        broker(7, directories=(left,), cordoned_directories=()),
        broker(8, in_controlled_shutdown=True, fenced=True),
    ]
    assert usable_brokers(registered) == [
        UsableBroker(1, "r", False),
        UsableBroker(2, None, True),
        UsableBroker(5, None, False),
        UsableBroker(6, None, False),
        UsableBroker(7, None, False),
        UsableBroker(8, None, True),
    ]
