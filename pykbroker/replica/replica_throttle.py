"""Which replicas are copied no faster than a rate, and whether that is reached. (ReplicationQuotaManager, KIP-73)"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pykbroker.clock import Clock
from pykbroker.replica.replication_quota import ReplicationQuota

if TYPE_CHECKING:
    from pykbroker.log.log_config import LogConfig
    from pykbroker.replica.partition import Partition

ALL_REPLICAS = "*"


class ReplicaThrottle:
    """One side, leading or following; `listed` is the topic config that names its replicas, partition:broker each."""

    def __init__(
        self, node_id: int, clock: Clock, listed: "Callable[[LogConfig], Sequence[str]]", quota: ReplicationQuota
    ) -> None:
        self.quota = quota
        self._node_id = node_id
        self._clock = clock
        self._listed = listed

    def is_throttled(self, partition: "Partition") -> bool:
        listed = self._listed(partition.log.config)
        if not listed:
            return False
        return ALL_REPLICAS in listed or f"{partition.topic_partition.partition}:{self._node_id}" in listed

    def is_exceeded(self) -> bool:
        return self.quota.rest(self._clock.monotonic()) > 0

    def record(self, count: int) -> None:
        """So many bytes were copied."""
        self.quota.record(count, self._clock.monotonic())


def led(config: "LogConfig") -> Sequence[str]:
    return config.leader_replication_throttled_replicas


def followed(config: "LogConfig") -> Sequence[str]:
    return config.follower_replication_throttled_replicas
