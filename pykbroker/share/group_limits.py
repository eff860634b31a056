"""What the configs of a share group, else the broker's, say about its share partitions. (ShareGroupConfigProvider)"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pykbroker.config.iso_duration import parse_duration
from pykbroker.share.share_partition import Limits

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.metadata.image import MetadataImage

READ_UNCOMMITTED: Final = 0
READ_COMMITTED: Final = 1
LATEST: Final = "latest"
EARLIEST: Final = "earliest"
_BY_DURATION: Final = "by_duration:"
_NANOSECONDS_IN_MS: Final = 1_000_000


class GroupLimits:
    """A value out of what the broker allows counts as the nearest that it does (GroupConfig.evaluate)."""

    __slots__ = ("_config", "_image")

    def __init__(self, config: "Callable[[], BrokerConfig]", image: "Callable[[], MetadataImage]") -> None:
        self._config = config
        self._image = image

    def of(self, group_id: str) -> Limits:
        config = self._config()
        overrides = self._image().configs.group(group_id)
        if not overrides:
            return Limits(
                config.group_share_record_lock_duration_ms / 1000,
                config.group_share_delivery_count_limit,
                config.group_share_partition_max_record_locks,
                True,
            )
        lock_ms = _between(
            config.group_share_min_record_lock_duration_ms,
            int(overrides.get("share.record.lock.duration.ms", config.group_share_record_lock_duration_ms)),
            config.group_share_max_record_lock_duration_ms,
        )
        delivery_count = _between(
            config.group_share_min_delivery_count_limit,
            int(overrides.get("share.delivery.count.limit", config.group_share_delivery_count_limit)),
            config.group_share_max_delivery_count_limit,
        )
        record_locks = _between(
            config.group_share_min_partition_max_record_locks,
            int(overrides.get("share.partition.max.record.locks", config.group_share_partition_max_record_locks)),
            config.group_share_max_partition_max_record_locks,
        )
        allows_renewal = overrides.get("share.renew.acknowledge.enable", "true").lower() == "true"
        return Limits(lock_ms / 1000, delivery_count, record_locks, allows_renewal)

    def isolation_level(self, group_id: str) -> int:
        level = self._image().configs.group(group_id).get("share.isolation.level", "read_uncommitted")
        return READ_COMMITTED if level == "read_committed" else READ_UNCOMMITTED

    def auto_offset_reset(self, group_id: str) -> str:
        """`latest`, `earliest` or by_duration:<ISO 8601>: where a share partition begins that has no state yet."""
        return self._image().configs.group(group_id).get("share.auto.offset.reset", LATEST)


def timestamp_of(reset: str, now_ms: int) -> int:
    """Milliseconds since 1970; `reset`: by_duration:…, as it was accepted. Raises ValueError."""
    nanoseconds = parse_duration(reset.removeprefix(_BY_DURATION))
    return (now_ms * _NANOSECONDS_IN_MS - nanoseconds) // _NANOSECONDS_IN_MS


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))
