"""Settings of groups: the broker's, and what a group's own configs override (GroupConfigManager)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.metadata.image import MetadataImage


class GroupSettings:
    """Times in milliseconds. Only the assignment intervals of a broker may change while it runs (KIP-1263)."""

    __slots__ = ("_config", "_current", "_image")

    def __init__(
        self,
        config: "BrokerConfig",
        image: "Callable[[], MetadataImage]",
        current: "Callable[[], BrokerConfig] | None" = None,
    ) -> None:
        """`config`: as the broker was started; `current`: with its dynamic configs."""
        self._config = config
        self._image = image
        self._current = current or (lambda: config)

    def _of(self, group_id: str, name: str, default: int) -> int:
        value = self._image().configs.group(group_id).get(name)
        return default if value is None else int(value)
