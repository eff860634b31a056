"""Markers go to the leader of the partition, wherever it is."""

import pytest

from pykbroker.coordinator.shard import Marker
from pykbroker.coordinator.transaction.marker_queue import MarkerQueue
from pykbroker.coordinator.transaction.marker_router import MarkerRouter
from pykbroker.coordinator.transaction.marker_writer import MarkerWriter
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.transaction.plays import OFFSETS, A, B, Partitions

MARKER = Marker(7, 0, 0, True)


class World:
    def __init__(self) -> None:
        self.leaders: dict[TopicPartition, int | None] = {}
        self.here = Partitions()
        self.elsewhere = MarkerQueue()
        writer = MarkerWriter(self.here, self.here)
        self.router = MarkerRouter(1, self.leaders.get, writer, lambda: self.elsewhere)


def test_to_the_leader() -> None:
    world = World()
    world.leaders |= {A: 1, B: 2, OFFSETS: 3}
    assert world.router.write(A, MARKER) is None
    assert world.here.markers == {A: [MARKER]}
    assert world.router.write(B, MARKER) is not None
    assert world.router.write(OFFSETS, MARKER) is not None
    assert [request.broker_id for request in world.elsewhere.next_requests()] == [2, 3]
    assert world.here.markers == {A: [MARKER]}


@pytest.mark.parametrize(("leader", "code"), [(None, E.UNKNOWN_TOPIC_OR_PARTITION), (-1, E.NOT_LEADER_OR_FOLLOWER)])
def test_without_a_leader(leader: int | None, code: int) -> None:
    world = World()
    world.leaders[A] = leader
    with pytest.raises(KafkaError) as caught:
        world.router.write(A, MARKER)
    assert caught.value.code == code
    assert world.elsewhere.next_requests() == []


def test_where_the_leader_is_by_then() -> None:
    world = World()
    world.leaders[A] = 2
    world.router.write(A, MARKER)
    world.leaders[A] = 1
    assert world.router.write(A, MARKER) is None
