"""What BrokerConfig, TopicConfig and GroupConfig have in common: typed values of texts over class-level defaults."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pykbroker.config.definitions import BROKER_SYNONYMS, Row
from pykbroker.config.types import parse_valid


def attribute(name: str) -> str:
    """The attribute of a config: log.segment.bytes → log_segment_bytes."""
    return name.replace(".", "_").replace("-", "_")


class ConfigValues:
    """Values by attribute. The class holds the defaults, an instance what was set; immutable by convention."""

    TABLE: ClassVar[Mapping[str, Row]]
    texts: Mapping[str, str]

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        """`texts`: values by Kafka's name; names without a definition are kept as texts. Raises InvalidValue."""
        self.texts = texts = {} if texts is None else dict(texts)
        table, values = self.TABLE, self.__dict__
        for name, text in texts.items():
            row = table.get(name)
            if row is not None:
                values[attribute(name)] = parse_valid(name, text, row)

    def get(self, name: str) -> Any:
        """The value by Kafka's name. Raises KeyError for a name without a definition."""
        if name not in self.TABLE:
            raise KeyError(name)
        return getattr(self, attribute(name))

    def with_overrides(self, texts: Mapping[str, str]) -> Self:
        """A copy in which `texts` win; an override also removes its synonyms, as log.roll.hours does log.roll.ms
        (DynamicBrokerConfig.overrideProps). Raises InvalidValue."""
        merged = dict(self.texts)
        for name, text in texts.items():
            for synonym in BROKER_SYNONYMS.get(name, ()):
                merged.pop(synonym, None)
            merged[name] = text
        return type(self)(merged)
