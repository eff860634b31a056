"""Topic and group configs over their broker synonyms (LogConfig.fromProps, AbstractKafkaConfig.extractLogConfigMap)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pykbroker.config.definitions import BROKER, GROUP_SYNONYMS, TOPIC_SYNONYMS
from pykbroker.config.values import ConfigValues, attribute

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

_MILLISECONDS = {".hours": 3_600_000, ".minutes": 60_000}


def broker_value(broker: "BrokerConfig", synonyms: tuple[str, ...]) -> Any:
    """The first value that is set, in the unit of the topic config: ms, where hours or minutes were set."""
    for name in synonyms:
        value = broker.get(name)
        if value is None:
            continue
        unit = _MILLISECONDS.get(name[name.rfind(".") :])
        if unit is not None:
            value *= unit
        # Any negative retention means: for ever (AbstractKafkaConfig.logRetentionTimeMillis).
        return -1 if name.startswith("log.retention.") and value < 0 else value
    return None


class _Derived(ConfigValues):
    """Values that fall back to broker configs."""

    @classmethod
    def synonyms(cls) -> Mapping[str, tuple[str, ...]]:
        raise NotImplementedError

    @classmethod
    def build(cls, broker: "BrokerConfig", overrides: Mapping[str, str] | None = None) -> Self:
        """The values of one topic or group. `overrides` by the topic's or group's names. Raises InvalidValue."""
        derived = cls(overrides)
        derived.__dict__ = {**cls.broker_defaults(broker), **derived.__dict__}
        return derived

    @classmethod
    def broker_defaults(cls, broker: "BrokerConfig") -> Mapping[str, Any]:
        """Values by attribute when nothing is overridden; computed once per BrokerConfig."""
        cache: dict[str, Mapping[str, Any]] = broker.__dict__.setdefault("_derived", {})
        defaults = cache.get(cls.__name__)
        if defaults is None:
            defaults = {attribute(name): broker_value(broker, names) for name, names in cls.synonyms().items()}
            cache[cls.__name__] = defaults
        return defaults


class TopicValues(_Derived):
    @classmethod
    def synonyms(cls) -> Mapping[str, tuple[str, ...]]:
        return TOPIC_SYNONYMS


class GroupValues(_Derived):
    @classmethod
    def synonyms(cls) -> Mapping[str, tuple[str, ...]]:
        return GROUP_SYNONYMS


assert all(name in BROKER for names in TOPIC_SYNONYMS.values() for name in names)
