"""Settings of consumer groups (GroupConfigManager)."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.group.assignor_spec import Assignor
from pykbroker.coordinator.group.group_settings import GroupSettings
from pykbroker.coordinator.group.target_assignment import ASSIGNORS

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.metadata.image import MetadataImage

logger = logging.getLogger(__name__)

_CLASSES: Final = {
    "org.apache.kafka.coordinator.group.assignor.UniformAssignor": "uniform",
    "org.apache.kafka.coordinator.group.assignor.RangeAssignor": "range",
}


def configured_assignors(names: list[str]) -> dict[str, Assignor]:
    """In the order of preference; class names of Kafka's own assignors are names of them as well."""
    known = [_CLASSES.get(name.strip(), name.strip()) for name in names]
    for name in known:
        if name not in ASSIGNORS:
            logger.warning("group.consumer.assignors: no such assignor here, passed over: %s", name)
    return {name: ASSIGNORS[name] for name in known if name in ASSIGNORS} or {"uniform": ASSIGNORS["uniform"]}


class ConsumerSettings(GroupSettings):
    """`assignors` by name, the default one first."""

    __slots__ = ("assignors",)

    def __init__(
        self,
        config: "BrokerConfig",
        image: "Callable[[], MetadataImage]",
        current: "Callable[[], BrokerConfig] | None" = None,
    ) -> None:
        super().__init__(config, image, current)
        self.assignors = configured_assignors(config.group_consumer_assignors)

    @property
    def default_assignor(self) -> str:
        return next(iter(self.assignors))

    @property
    def max_size(self) -> int:
        return self._config.group_consumer_max_size

    @property
    def classic_max_size(self) -> int:
        return self._config.group_max_size

    @property
    def regex_refresh_ms(self) -> int:
        return self._config.group_consumer_regex_refresh_interval_ms

    @property
    def allows_upgrade(self) -> bool:
        return self._policy in ("bidirectional", "upgrade")

    @property
    def allows_downgrade(self) -> bool:
        return self._policy in ("bidirectional", "downgrade")

    @property
    def allows_migration(self) -> bool:
        return self._policy != "disabled"

    @property
    def _policy(self) -> str:
        return self._config.group_consumer_migration_policy.lower()

    def session_timeout_ms(self, group_id: str) -> int:
        return self._of(group_id, "consumer.session.timeout.ms", self._config.group_consumer_session_timeout_ms)

    def heartbeat_interval_ms(self, group_id: str) -> int:
        return self._of(group_id, "consumer.heartbeat.interval.ms", self._config.group_consumer_heartbeat_interval_ms)

    def assignment_interval_ms(self, group_id: str) -> int:
        """How long a target assignment stays at least (KIP-1263)."""
        default = self._current().group_consumer_assignment_interval_ms
        return self._of(group_id, "consumer.assignment.interval.ms", default)
