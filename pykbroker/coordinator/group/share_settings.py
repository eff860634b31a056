"""Settings of share groups (GroupConfigManager)."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.group.group_settings import GroupSettings

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.metadata.image import MetadataImage

logger = logging.getLogger(__name__)

SIMPLE: Final = "simple"
_SIMPLE_CLASS: Final = "org.apache.kafka.coordinator.group.assignor.SimpleAssignor"


class ShareSettings(GroupSettings):
    __slots__ = ()

    def __init__(
        self,
        config: "BrokerConfig",
        image: "Callable[[], MetadataImage]",
        current: "Callable[[], BrokerConfig] | None" = None,
    ) -> None:
        super().__init__(config, image, current)
        for name in config.group_share_assignors:
            if name.strip() not in (SIMPLE, _SIMPLE_CLASS):
                logger.warning("group.share.assignors: no such assignor here, passed over: %s", name)

    @property
    def max_size(self) -> int:
        return self._config.group_share_max_size

    @property
    def initialize_retry_ms(self) -> int:
        """After so long an initialization of partitions that was not heard of again is tried once more."""
        return self._config.group_share_initialize_retry_interval_ms

    def session_timeout_ms(self, group_id: str) -> int:
        return self._of(group_id, "share.session.timeout.ms", self._config.group_share_session_timeout_ms)

    def heartbeat_interval_ms(self, group_id: str) -> int:
        return self._of(group_id, "share.heartbeat.interval.ms", self._config.group_share_heartbeat_interval_ms)

    def assignment_interval_ms(self, group_id: str) -> int:
        """How long a target assignment stays at least (KIP-1263)."""
        return self._of(group_id, "share.assignment.interval.ms", self._current().group_share_assignment_interval_ms)
