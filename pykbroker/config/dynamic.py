"""The node's configs as they are now: static ones, then those of the metadata image (DynamicBrokerConfig, KIP-226)."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.definitions import BROKER, QUOTA_BROKER
from pykbroker.config.known_names import SECURITY_CONFIGS, is_per_broker, row_of
from pykbroker.config.topic_config import GroupConfig, TopicConfig
from pykbroker.config.types import INERT, READ_ONLY, InvalidValue, parse_valid
from pykbroker.config.validate_coordinator import clamp_intervals
from pykbroker.metadata.image import BROKER_RESOURCE, MetadataImage

if TYPE_CHECKING:
    from pykbroker.log.log_config import LogConfig
    from pykbroker.metadata.delta import MetadataDelta

LOG = logging.getLogger("pykbroker.config")
CLUSTER_DEFAULT = ""  # the name of the resource that all brokers share

Values = TypeVar("Values", TopicConfig, GroupConfig)


class BrokerLevels(NamedTuple):
    """Texts by name, what wins first: set for this broker, for all brokers, at start."""

    broker: Mapping[str, str]
    cluster: Mapping[str, str]
    static: Mapping[str, str]


class DynamicBrokerConfig:
    """Subscribe it to the metadata publisher before everything that asks it for configs."""

    def __init__(self, static: BrokerConfig, node_id: int) -> None:
        """`static` is what the node was started with. `on_broker_change` is called when `current` has changed."""
        self.static = static
        self.current = static
        self.levels = BrokerLevels({}, {}, static.texts)
        self.on_broker_change: Callable[[], None] = lambda: None
        self._node_id = node_id
        self._image = MetadataImage.empty()

    def topic_config(self, topic: str) -> TopicConfig:
        return self._derive(TopicConfig, f"topic {topic}", self._image.configs.topic(topic))

    def log_config(self, topic: str) -> "LogConfig":
        config = self.topic_config(topic)
        if config.internal_segment_bytes is not None:  # what tests of Kafka use for segments below 1 MiB
            config.segment_bytes = config.internal_segment_bytes
        return config

    def group_config(self, group: str) -> GroupConfig:
        return self._derive(GroupConfig, f"group {group}", self._image.configs.group(group))

    def broker_quota(self, name: str) -> int:
        """A quota of this broker, bytes a second: dynamic only (BrokerConfigHandler)."""
        row = QUOTA_BROKER[name]
        text = self.levels.broker.get(name, self.levels.cluster.get(name))
        return int(row[1] if text is None else parse_valid(name, text, row))

    def on_metadata_update(self, delta: "MetadataDelta", image: MetadataImage) -> None:
        self._image = image
        ours = {(BROKER_RESOURCE, CLUSTER_DEFAULT), (BROKER_RESOURCE, str(self._node_id))}
        if ours.isdisjoint(delta.changed_configs):
            return
        for resource, name, value in _new_overrides(delta.base, image, self._node_id):
            _log_doubts(resource, name, value)
        levels = levels_of(self.static, image, self._node_id)
        if levels == self.levels:
            return
        self.levels = levels
        self.current = clamp_intervals(effective(self.static, levels))
        self.on_broker_change()

    def _derive(self, kind: type[Values], resource: str, overrides: Mapping[str, str]) -> Values:
        try:
            return kind.build(self.current, overrides)
        except InvalidValue:
            return kind.build(self.current, _without_invalid(kind, resource, overrides))


def levels_of(static: BrokerConfig, image: MetadataImage, node_id: int) -> BrokerLevels:
    """What counts for one broker; stored values that cannot be are left out."""
    return BrokerLevels(
        broker=accepted(image.configs.broker(node_id), per_broker=True),
        cluster=accepted(image.configs.broker(CLUSTER_DEFAULT), per_broker=False),
        static=static.texts,
    )


def effective(static: BrokerConfig, levels: BrokerLevels) -> BrokerConfig:
    for level in (levels.cluster, levels.broker):
        if level:
            static = static.with_overrides(level)
    return static


def config_of(static: BrokerConfig, image: MetadataImage, node_id: int) -> BrokerConfig:
    """The configs of a node as the image has them now."""
    return effective(static, levels_of(static, image, node_id))


def accepted(stored: Mapping[str, str], *, per_broker: bool) -> dict[str, str]:
    return {name: value for name, value in stored.items() if why_ignored(name, value, per_broker=per_broker) is None}


def why_ignored(name: str, value: str, *, per_broker: bool) -> str | None:
    """Why a stored config has no effect (DynamicBrokerConfig.fromPersistentProps)."""
    if name in BROKER and BROKER[name][3] == READ_ONLY:
        return "it is read-only"
    if name in SECURITY_CONFIGS:
        return "it can be set per listener only"
    if not per_broker and is_per_broker(name):
        return "it can be set per broker only"
    row = row_of(name)
    try:
        if row is not None:
            parse_valid(name, value, row)
    except InvalidValue as error:
        return str(error)
    return None


def _new_overrides(old: MetadataImage, new: MetadataImage, node_id: int) -> Iterator[tuple[str, str, str]]:
    """(resource, config, value) of what was set since."""
    for resource in (CLUSTER_DEFAULT, str(node_id)):
        before = old.configs.broker(resource)
        for name, value in new.configs.broker(resource).items():
            if before.get(name) != value:
                yield resource, name, value


def _log_doubts(resource: str, name: str, value: str) -> None:
    reason = why_ignored(name, value, per_broker=resource != CLUSTER_DEFAULT)
    row = row_of(name)
    if reason is not None:
        LOG.error("dynamic config %s is ignored: %s", name, reason)
    elif row is None or row[4] & INERT or not (name in BROKER or name in QUOTA_BROKER):
        LOG.warning("dynamic config %s has no effect here", name)


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
