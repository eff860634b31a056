"""The node's configs as they are now: static ones, then those of the metadata image (DynamicBrokerConfig, KIP-226)."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.definitions import BROKER
from pykbroker.config.topic_config import GroupConfig, TopicConfig
from pykbroker.config.types import PER_BROKER, READ_ONLY, InvalidValue, parse_valid
from pykbroker.metadata.image import BROKER_RESOURCE, MetadataImage

if TYPE_CHECKING:
    from pykbroker.log.log_config import LogConfig
    from pykbroker.metadata.delta import MetadataDelta

LOG = logging.getLogger("pykbroker.config")
CLUSTER_DEFAULT = ""  # the name of the resource that all brokers share

Values = TypeVar("Values", TopicConfig, GroupConfig)


class DynamicBrokerConfig:
    """Subscribe it to the metadata publisher before everything that asks it for configs."""

    def __init__(self, static: BrokerConfig, node_id: int) -> None:
        """`static` is what the node was started with. `on_broker_change` is called when `current` has changed."""
        self.static = static
        self.on_broker_change: Callable[[], None] = lambda: None
        self._node_id = node_id
        self._image = MetadataImage.empty()
        self._current = static
        self._dynamic: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})

    @property
    def current(self) -> BrokerConfig:
        return self._current

    def topic_config(self, topic: str) -> TopicConfig:
        return self._derive(TopicConfig, f"topic {topic}", self._image.configs.topic(topic))

    def log_config(self, topic: str) -> "LogConfig":
        return self.topic_config(topic)

    def group_config(self, group: str) -> GroupConfig:
        return self._derive(GroupConfig, f"group {group}", self._image.configs.group(group))

    def on_metadata_update(self, delta: "MetadataDelta", image: MetadataImage) -> None:
        self._image = image
        ours = {(BROKER_RESOURCE, CLUSTER_DEFAULT), (BROKER_RESOURCE, str(self._node_id))}
        if ours.isdisjoint(delta.changed_configs):
            return
        dynamic = accepted(image, self._node_id)
        if dynamic == self._dynamic:
            return
        self._dynamic = dynamic
        self._current = effective(self.static, *dynamic)
        self.on_broker_change()

    def _derive(self, kind: type[Values], resource: str, overrides: Mapping[str, str]) -> Values:
        try:
            return kind.build(self._current, overrides)
        except InvalidValue:
            return kind.build(self._current, _without_invalid(kind, resource, overrides))


def effective(static: BrokerConfig, cluster: Mapping[str, str], broker: Mapping[str, str]) -> BrokerConfig:
    """The three levels of broker configs, the later wins; overrides must be accepted ones."""
    if cluster:
        static = static.with_overrides(cluster)
    return static.with_overrides(broker) if broker else static


def accepted(image: MetadataImage, node_id: int) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What counts of the cluster's and of this broker's stored configs; the rest is logged and ignored."""
    return (
        _accepted(image.configs.broker(CLUSTER_DEFAULT), per_broker=False),
        _accepted(image.configs.broker(node_id), per_broker=True),
    )


def _accepted(stored: Mapping[str, str], *, per_broker: bool) -> dict[str, str]:
    result = {}
    for name, value in stored.items():
        reason = _why_ignored(name, value, per_broker=per_broker)
        if reason is None:
            result[name] = value
        else:
            LOG.error("dynamic broker config %s is ignored: %s", name, reason)
    return result


def _why_ignored(name: str, value: str, *, per_broker: bool) -> str | None:
    row = BROKER.get(name)
    if row is None:
        return "there is no such config"
    if row[3] == READ_ONLY:
        return "it is read-only"
    if row[3] == PER_BROKER and not per_broker:
        return "it can be set per broker only"
    try:
        parse_valid(name, value, row)
    except InvalidValue as error:
        return str(error)
    return None


def _without_invalid(
    kind: type[TopicConfig] | type[GroupConfig], resource: str, overrides: Mapping[str, str]
) -> dict[str, str]:
    result = {}
    for name, value in overrides.items():
        row = kind.TABLE.get(name)
        try:
            if row is not None:
                parse_valid(name, value, row)
            result[name] = value
        except InvalidValue as error:
            LOG.error("config of %s is ignored: %s", resource, error)
    return result
