"""What DescribeConfigs and CreateTopics say of configs: value, source, synonyms, type (ConfigHelper)."""

from collections.abc import Iterable, Mapping
from itertools import dropwhile
from typing import NamedTuple

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.definitions import (
    BROKER,
    BROKER_SYNONYMS,
    CLIENT_METRICS,
    GROUP,
    GROUP_SYNONYMS,
    TOPIC,
    TOPIC_SYNONYMS,
    Row,
)
from pykbroker.config.dynamic import BrokerLevels, levels_of
from pykbroker.config.known_names import base_name, is_dynamic, row_of
from pykbroker.config.levels import broker_value
from pykbroker.config.topic_config import GroupConfig, TopicConfig
from pykbroker.config.types import INTERNAL, PASSWORD, parse_valid, to_text
from pykbroker.config.values import ConfigValues, attribute
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.enums import ConfigSource

UNKNOWN_TYPE = 0


class Synonym(NamedTuple):
    name: str
    value: str | None
    source: int


class ConfigEntry(NamedTuple):
    """One config of a resource; a sensitive value is never told."""

    name: str
    value: str | None
    source: int
    synonyms: list[Synonym]
    config_type: int = UNKNOWN_TYPE
    is_sensitive: bool = False
    read_only: bool = False


def describe_topic(topic: TopicConfig, levels: BrokerLevels) -> list[ConfigEntry]:
    """All configs of a topic and where they come from."""
    entries = []
    for name in _names(TOPIC, topic.texts):
        broker_names = TOPIC_SYNONYMS.get(name)
        inherited = level_synonyms(levels, broker_names[0]) if broker_names else []
        entries.append(_derived(topic, name, inherited, ConfigSource.TOPIC_CONFIG))
    return entries


def describe_group(group: GroupConfig, levels: BrokerLevels) -> list[ConfigEntry]:
    entries = []
    for name in _names(GROUP, group.texts):
        broker_names = GROUP_SYNONYMS.get(name)
        if broker_names:
            inherited = level_synonyms(levels, broker_names[0])
        else:
            default = GROUP[name][1] if name in GROUP else None
            inherited = [] if default is None else [Synonym(name, to_text(default), ConfigSource.DEFAULT_CONFIG)]
        entries.append(_derived(group, name, inherited, ConfigSource.GROUP_CONFIG))
    return entries


def describe_client_metrics(overrides: Mapping[str, str]) -> list[ConfigEntry]:
    entries = []
    for name, row in CLIENT_METRICS.items():
        value = to_text(parse_valid(name, overrides[name], row) if name in overrides else row[1])
        own = [Synonym(name, value, ConfigSource.CLIENT_METRICS_CONFIG)] if name in overrides else []
        entries.append(ConfigEntry(name, value, _source(own), own, row[0]))
    return entries


def describe_broker(current: BrokerConfig, levels: BrokerLevels) -> list[ConfigEntry]:
    """Every config of this broker, those without a definition too."""
    entries = []
    for name in _names(BROKER, current.texts):
        value = _text(current.get(name)) if name in BROKER else current.texts[name]
        entries.append(_broker_entry(name, value, level_synonyms(levels, name)))
    return entries


def describe_cluster_default(levels: BrokerLevels) -> list[ConfigEntry]:
    """What is set for all brokers at once."""
    source = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG
    return [
        _broker_entry(name, value, [s for s in level_synonyms(levels, name) if s.source == source])
        for name, value in levels.cluster.items()
    ]


def describe_new_topic(config: BrokerConfig, image: MetadataImage, overrides: Mapping[str, str]) -> list[ConfigEntry]:
    """What CreateTopics answers, sorted by name. `config` is the controller's static one (KafkaConfigSchema)."""
    levels = levels_of(config, image, config.node_id)
    return [_new_topic_entry(name, levels, overrides) for name in sorted(_names(TOPIC, overrides))]


def level_synonyms(levels: BrokerLevels, name: str) -> list[Synonym]:
    """Where a broker config may come from, what wins first."""
    base = base_name(name)
    asked = BROKER_SYNONYMS.get(name, (name,) if base is None else (name, base))
    is_sensitive = _is_sensitive(row_of(name))
    found = []
    for texts, source in (
        (levels.broker, ConfigSource.DYNAMIC_BROKER_CONFIG),
        (levels.cluster, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),
        (levels.static, ConfigSource.STATIC_BROKER_CONFIG),
    ):
        found += [Synonym(n, None if is_sensitive else texts[n], source) for n in asked if n in texts]
    for asked_name in asked:
        default = getattr(BrokerConfig, attribute(asked_name), None) if asked_name in BROKER else None
        if default is not None:
            found.append(Synonym(asked_name, to_text(default), ConfigSource.DEFAULT_CONFIG))
    # As Kafka: a synonym alone, before the name itself, does not count (so retention.ms of log.retention.hours).
    return list(dropwhile(lambda synonym: synonym.name != name, found))


def _new_topic_entry(name: str, levels: BrokerLevels, overrides: Mapping[str, str]) -> ConfigEntry:
    kind = TOPIC[name][0]
    if name in overrides:
        return ConfigEntry(name, overrides[name], ConfigSource.TOPIC_CONFIG, [], kind)
    synonyms = TOPIC_SYNONYMS.get(name, ())
    for texts, source in (
        (levels.broker, ConfigSource.DYNAMIC_BROKER_CONFIG),
        (levels.cluster, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),
        (levels.static, ConfigSource.STATIC_BROKER_CONFIG),
    ):
        for synonym in synonyms:
            if synonym in texts:
                value = broker_value(BrokerConfig({synonym: texts[synonym]}), (synonym,))
                return ConfigEntry(name, _text(value), source, [], kind)
    return ConfigEntry(name, _text(TOPIC[name][1]), ConfigSource.DEFAULT_CONFIG, [], kind)


def _names(table: Mapping[str, Row], texts: Mapping[str, str]) -> Iterable[str]:
    """What is shown: the public definitions, and whatever was set."""
    return dict.fromkeys([*(name for name, row in table.items() if not row[4] & INTERNAL), *texts])


def _derived(values: ConfigValues, name: str, inherited: list[Synonym], own_source: int) -> ConfigEntry:
    """A config of a topic or group over what it inherits."""
    row = values.TABLE.get(name)
    is_sensitive = _is_sensitive(row)
    value = None if is_sensitive else _text(values.get(name))
    own = [Synonym(name, value, own_source)] if name in values.texts else []
    synonyms = own + inherited
    return ConfigEntry(name, value, _source(synonyms), synonyms, row[0] if row else UNKNOWN_TYPE, is_sensitive)


def _broker_entry(name: str, value: str | None, synonyms: list[Synonym]) -> ConfigEntry:
    row = row_of(name)
    is_sensitive = _is_sensitive(row)
    return ConfigEntry(
        name=name,
        value=None if is_sensitive else value,
        source=_source(synonyms),
        synonyms=synonyms,
        config_type=row[0] if row else UNKNOWN_TYPE,
        is_sensitive=is_sensitive,
        read_only=not is_dynamic(name),
    )


def _is_sensitive(row: Row | None) -> bool:
    """What nobody has defined may be a secret."""
    return row is None or row[0] == PASSWORD


def _source(synonyms: list[Synonym]) -> int:
    return synonyms[0].source if synonyms else ConfigSource.DEFAULT_CONFIG


def _text(value: object) -> str | None:
    return None if value is None else to_text(value)
