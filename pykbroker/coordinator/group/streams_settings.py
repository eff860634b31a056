"""Settings of streams groups: the broker's, and what the group's own configs override (GroupConfigManager)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.metadata.image import MetadataImage


class StreamsSettings:
    """Times in milliseconds."""

    __slots__ = ("_config", "_image")

    def __init__(self, config: "BrokerConfig", image: "Callable[[], MetadataImage]") -> None:
        self._config = config
        self._image = image

    @property
    def max_size(self) -> int:
        return self._config.group_streams_max_size

    def session_timeout_ms(self, group_id: str) -> int:
        return self._of(group_id, "streams.session.timeout.ms", self._config.group_streams_session_timeout_ms)

    def heartbeat_interval_ms(self, group_id: str) -> int:
        return self._of(group_id, "streams.heartbeat.interval.ms", self._config.group_streams_heartbeat_interval_ms)

    def assignment_interval_ms(self, group_id: str) -> int:
        """How long a target assignment stays at least (KIP-1263)."""
        return self._of(group_id, "streams.assignment.interval.ms", self._config.group_streams_assignment_interval_ms)

    def initial_rebalance_delay_ms(self, group_id: str) -> int:
        default = self._config.group_streams_initial_rebalance_delay_ms
        return self._of(group_id, "streams.initial.rebalance.delay.ms", default)

    def assignment_configs(self, group_id: str) -> tuple[tuple[str, str], ...]:
        """What the assignor is told beside the members, as the group's record has it."""
        replicas = self._of(group_id, "streams.num.standby.replicas", self._config.group_streams_num_standby_replicas)
        return (("num.standby.replicas", str(replicas)),)

    def _of(self, group_id: str, name: str, default: int) -> int:
        value = self._image().configs.group(group_id).get(name)
        return default if value is None else int(value)
