"""What is made with the first partition that has other replicas, and how ReplicaManager drives it."""

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.metadata.topics import PartitionImage
from pykbroker.replica.fetcher import Fetcher, FetcherSettings
from pykbroker.replica.replication import Replication, ReplicationSettings, settings_of
from tests.replica.stand import NODE_ID, Stand, partition_image

LED = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))


def following(leader: int = 2, epoch: int = 1, **fields: object) -> PartitionImage:
    return LED._replace(leader=leader, leader_epoch=epoch, partition_epoch=epoch, **fields)


def followed(stand: Stand, topic: str = "t") -> list[int]:
    """Of which leaders."""
    replication = stand.replicas.replication
    assert replication is not None
    return [
        fetcher.leader_id
        for fetcher in replication.fetchers.fetchers.values()
        for follower in fetcher.followers.values()
        if follower.partition.topic_partition.topic == topic
    ]


def test_a_partition_alone_needs_none_of_it(stand: Stand) -> None:
    made: list[Replication] = []
    stand.replicas.on_replication = made.append
    stand.create("t")
    assert stand.replicas.replication is None
    stand.set_partition("t", LED)
    assert made == [stand.replicas.replication]
    stand.create("u")
    stand.set_partition("u", LED)
    assert len(made) == 1


def test_the_cluster_is_known_before_partitions_are_told(stand: Stand) -> None:
    stand.image.brokers = {}
    stand.create("t")
    stand.set_partition("t", LED)
    stand.register(NODE_ID, 2, epoch=7)
    replication = stand.replicas.replication
    assert replication is not None
    assert (replication.broker_epoch, replication.metadata_version) == (7, 30)


def test_leaders_follow_nobody_and_followers_their_leader(stand: Stand) -> None:
    stand.create("t")
    stand.set_partition("t", following(2, 1))
    assert followed(stand) == [2]
    stand.set_partition("t", following(3, 2))
    assert followed(stand) == [3]
    stand.set_partition("t", following(NODE_ID, 3))
    assert followed(stand) == []
    stand.set_partition("t", following(-1, 4))
    assert followed(stand) == []


def test_news_without_a_leader_epoch_leave_the_fetcher_alone(stand: Stand) -> None:
    stand.create("t")
    stand.set_partition("t", following(2, 1))
    replication = stand.replicas.replication
    assert replication is not None
    fetcher: Fetcher = replication.fetchers.fetchers[2, 0]
    assert fetcher.next_request(0.0) is not None
    before = dict(fetcher.followers)
    stand.set_partition("t", following(2, 1, isr=(2,))._replace(partition_epoch=9))
    assert fetcher.followers == before


def test_what_is_deleted_is_not_followed(stand: Stand) -> None:
    stand.create("t")
    stand.set_partition("t", following())
    stand.delete("t")
    assert followed(stand) == []


def test_in_a_controlled_shutdown_a_replica_out_of_the_isr_rests(stand: Stand) -> None:
    stand.create("t")
    stand.set_partition("t", following())
    stand.replicas.begin_controlled_shutdown()
    assert followed(stand) == [2]
    stand.set_partition("t", following(2, 2, isr=(2,)))
    assert followed(stand) == []


def test_at_the_end_nothing_is_followed(stand: Stand) -> None:
    stand.create("t")
    stand.set_partition("t", following())
    stand.replicas.shut_down()
    assert followed(stand) == []


def test_settings_come_from_kafkas_configs() -> None:
    config = BrokerConfig().with_overrides(
        {
            "num.replica.fetchers": "3",
            "replica.lag.time.max.ms": "5000",
            "replica.fetch.wait.max.ms": "100",
            "replica.fetch.min.bytes": "2",
            "replica.fetch.max.bytes": "3",
            "replica.fetch.response.max.bytes": "4",
            "replica.fetch.backoff.ms": "50",
            "replica.socket.timeout.ms": "6000",
        }
    )
    rates = {"leader.replication.throttled.rate": 7, "follower.replication.throttled.rate": 8}
    settings = settings_of(config, rates.__getitem__)
    assert settings == ReplicationSettings(5.0, 3, FetcherSettings(100, 2, 4, 3, 0.05, 6.0), 7, 8, 11, 1)
    default = settings_of(BrokerConfig(), lambda name: 2**63 - 1)
    assert default.fetchers == FetcherSettings()


def test_what_may_change_while_it_runs(stand: Stand) -> None:
    settings = ReplicationSettings()
    stand.replicas.reconfigure_replication()
    stand.replicas.replication_settings = lambda: settings
    stand.create("t")
    stand.set_partition("t", following())
    settings = ReplicationSettings(max_lag=1, num_fetchers=4, leader_rate=5, follower_rate=6)
    stand.replicas.reconfigure_replication()
    replication = stand.replicas.replication
    assert replication is not None
    assert (replication.peers.max_lag, replication.leader_throttle.quota.rate) == (1, 5)
    assert replication.follower_throttle.quota.rate == 6
    assert followed(stand) == [2]
