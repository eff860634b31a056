"""What a broker needs as soon as it holds a partition that has other replicas: made then, by ReplicaManager.

The brokers it must know of, ISRs on their way to the controller, fetchers, throttles. isr_loop and fetcher_loop carry
it out. (What ReplicaManager.scala owns for this)
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.clock import Clock
from pykbroker.replica.alter_partition import AlterPartitionManager
from pykbroker.replica.fetcher import FetcherSettings
from pykbroker.replica.fetcher_manager import ReplicaFetcherManager
from pykbroker.replica.follower import Truncation
from pykbroker.replica.isr import InSyncReplicas, Peers
from pykbroker.replica.replica_throttle import ReplicaThrottle, followed, led
from pykbroker.replica.replication_quota import ReplicationQuota

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.replica.partition import Partition

LEADER_RATE = "leader.replication.throttled.rate"
FOLLOWER_RATE = "follower.replication.throttled.rate"


class ReplicationSettings(NamedTuple):
    """Times in seconds, rates in bytes a second."""

    max_lag: float = 30.0
    num_fetchers: int = 1
    fetchers: FetcherSettings = FetcherSettings()
    leader_rate: float = float("inf")
    follower_rate: float = float("inf")
    quota_windows: int = 11
    quota_window_seconds: float = 1.0


def settings_of(config: "BrokerConfig", broker_quota: Callable[[str], int]) -> ReplicationSettings:
    """As they are now; `broker_quota` gives this broker's dynamic rates."""
    return ReplicationSettings(
        max_lag=config.replica_lag_time_max_ms / 1000,
        num_fetchers=config.num_replica_fetchers,
        fetchers=FetcherSettings(
            wait_max_ms=config.replica_fetch_wait_max_ms,
            min_bytes=config.replica_fetch_min_bytes,
            response_max_bytes=config.replica_fetch_response_max_bytes,
            max_bytes=config.replica_fetch_max_bytes,
            backoff=config.replica_fetch_backoff_ms / 1000,
            timeout=config.replica_socket_timeout_ms / 1000,
        ),
        leader_rate=broker_quota(LEADER_RATE),
        follower_rate=broker_quota(FOLLOWER_RATE),
        quota_windows=config.replication_quota_window_num,
        quota_window_seconds=config.replication_quota_window_size_seconds,
    )


class Replication:
    """Implements fetcher.Environment."""

    def __init__(self, node_id: int, clock: Clock, truncation: Truncation, settings: ReplicationSettings) -> None:
        self.node_id = node_id
        self.clock = clock
        self.truncation = truncation
        self.metadata_version = 0
        self.settings = settings.fetchers
        self.peers = Peers(node_id, clock)
        self.peers.max_lag = settings.max_lag
        self.alterations = AlterPartitionManager(self.peers)
        self.fetchers = ReplicaFetcherManager(self, settings.num_fetchers)
        self.leader_throttle = ReplicaThrottle(node_id, clock, led, _quota(settings, settings.leader_rate))
        self.follower_throttle = ReplicaThrottle(node_id, clock, followed, _quota(settings, settings.follower_rate))

    @property
    def broker_epoch(self) -> int:
        return self.peers.broker_epoch

    def reconfigure(self, settings: ReplicationSettings) -> None:
        """What may change while the broker runs."""
        self.settings = settings.fetchers
        self.peers.max_lag = settings.max_lag
        self.leader_throttle.quota.rate = settings.leader_rate
        self.follower_throttle.quota.rate = settings.follower_rate
        self.fetchers.resize(settings.num_fetchers)

    def see(self, image: "MetadataImage") -> None:
        """The cluster as it is now; before the partitions are told of their part in it."""
        self.peers.brokers = image.brokers
        self.metadata_version = image.features.metadata_version

    def in_sync_replicas(self, partition: "Partition", leader_epoch: int) -> InSyncReplicas:
        """For a partition that this broker begins to lead; `leader_epoch`: the one before."""
        return InSyncReplicas(self.peers, partial(self.alterations.submit, partition), leader_epoch)

    def preferred_read_replica(self, partition: "Partition", rack_id: str, offset: int) -> int | None:
        """The replica in that rack from which `offset` should rather be read than from here (KIP-392)."""
        from pykbroker.replica.replica_selector import select_rack_aware

        return select_rack_aware(partition, self.peers, rack_id, offset)


def _quota(settings: ReplicationSettings, rate: float) -> ReplicationQuota:
    return ReplicationQuota(rate, windows=settings.quota_windows, window_seconds=settings.quota_window_seconds)
