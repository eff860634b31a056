"""Every followed partition has exactly one fetcher, whatever happens."""

from pathlib import Path

import pytest

from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch import FetchableTopicResponse, FetchResponse, PartitionData
from pykbroker.replica.fetcher import Fetcher
from pykbroker.replica.fetcher_manager import ReplicaFetcherManager, fetcher_id_of
from pykbroker.replica.partition import Partition
from tests.replica.test_fetcher import LEADER, World


class Manager:
    def __init__(self, world: World, num_fetchers: int = 1) -> None:
        self.world = world
        self.started: list[Fetcher] = []
        self.fetchers = ReplicaFetcherManager(world, num_fetchers)
        self.fetchers.on_fetcher = self.started.append

    def follow(self, name: str, leader: int = LEADER) -> Partition:
        partition = self.world.partition(name)
        self.lead(partition, leader)
        return partition

    def lead(self, partition: Partition, leader: int) -> None:
        image = partition.image
        partition.apply(image._replace(leader=leader, leader_epoch=image.leader_epoch + 1))
        self.fetchers.add(partition)

    def followed_by(self, partition: Partition) -> list[int]:
        """Leaders of the fetchers that have it."""
        return [
            fetcher.leader_id
            for fetcher in self.fetchers.fetchers.values()
            for follower in fetcher.followers.values()
            if follower.partition is partition
        ]


@pytest.fixture
def manager(tmp_path: Path) -> Manager:
    return Manager(World(tmp_path))


def test_one_fetcher_per_leader(manager: Manager) -> None:
    first, second, other = manager.follow("a"), manager.follow("b"), manager.follow("c", leader=7)
    assert [fetcher.leader_id for fetcher in manager.started] == [LEADER, 7]
    assert [manager.followed_by(one) for one in (first, second, other)] == [[LEADER], [LEADER], [7]]
    assert manager.fetchers.fetcher_of(other) is manager.started[1]


def test_another_leader_takes_it_from_the_one_before(manager: Manager) -> None:
    partition, other = manager.follow("a"), manager.follow("b")
    manager.lead(partition, 7)
    assert (manager.followed_by(partition), manager.followed_by(other)) == ([7], [LEADER])
    manager.lead(other, 7)
    assert not manager.started[0].is_closed, "in between changes it may get another"
    manager.fetchers.close_idle()
    assert (manager.started[0].is_closed, list(manager.fetchers.fetchers)) == (True, [(7, 0)])


def test_without_a_leader_nobody_is_asked(manager: Manager) -> None:
    partition = manager.follow("a")
    manager.lead(partition, -1)
    assert manager.followed_by(partition) == []
    assert manager.fetchers.fetcher_of(partition) is None


def test_a_partition_that_failed_until_its_epoch_changes(manager: Manager) -> None:
    partition = manager.follow("a")
    fetcher = manager.started[0]
    assert fetcher.next_request(0.0) is not None
    row = PartitionData(error_code=ErrorCode.FENCED_LEADER_EPOCH)
    answer = FetchResponse(responses=[FetchableTopicResponse(topic_id=partition.topic_id, partitions=[row])])
    fetcher.on_response(answer, 0.0)
    assert list(manager.fetchers.failed.values()) == [partition]
    assert manager.followed_by(partition) == []
    manager.lead(partition, LEADER)
    assert (manager.fetchers.failed, manager.followed_by(partition)) == ({}, [LEADER])


def test_partitions_are_spread_over_the_fetchers_of_a_leader(tmp_path: Path) -> None:
    manager = Manager(World(tmp_path), 3)
    partitions = [manager.follow(f"topic-{number}") for number in range(12)]
    assert sorted(fetcher.fetcher_id for fetcher in manager.started) == [0, 1, 2]
    for partition in partitions:
        fetcher = manager.fetchers.fetcher_of(partition)
        assert fetcher is not None
        assert fetcher.fetcher_id == fetcher_id_of(partition.topic_partition, 3)
    assert fetcher_id_of(TopicPartition("t", 1), 1) == 0


@pytest.mark.parametrize("number", [1, 2, 5])
def test_their_number_changes_while_they_run(tmp_path: Path, number: int) -> None:
    manager = Manager(World(tmp_path), 2)
    partitions = [manager.follow(f"topic-{index}") for index in range(12)]
    partitions[0].log.append_as_follower(bytearray(), 0)
    manager.fetchers.resize(number)
    assert all(manager.followed_by(one) == [LEADER] for one in partitions)
    assert {fetcher_id for _, fetcher_id in manager.fetchers.fetchers} <= set(range(number))
    assert all(fetcher.is_closed == (fetcher.fetcher_id >= number) for fetcher in manager.started)
    manager.fetchers.resize(number)


def test_at_the_end_nothing_is_followed(manager: Manager) -> None:
    manager.follow("a")
    manager.fetchers.shut_down()
    assert manager.started[0].is_closed
    assert not manager.fetchers.fetchers
