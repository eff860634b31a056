"""The tables agree with each other: defaults pass their own checks, synonyms exist, every name is an attribute."""

import pytest

from pykbroker.config import definitions
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.definitions import BROKER, CLIENT_METRICS, GROUP, OUR_DEFAULTS, QUOTA_BROKER, TOPIC, Row
from pykbroker.config.documentation import DOCUMENTATION
from pykbroker.config.topic_config import GroupConfig, TopicConfig
from pykbroker.config.types import (
    INERT,
    INTERNAL,
    LIST,
    PASSWORD,
    PER_BROKER,
    READ_ONLY,
    REQUIRED,
    parse_valid,
    to_text,
)
from pykbroker.config.values import attribute

TABLES = {
    "broker": BROKER,
    "topic": TOPIC,
    "group": GROUP,
    "client_metrics": CLIENT_METRICS,
    "quota_broker": QUOTA_BROKER,
}


@pytest.mark.parametrize("kind", TABLES)
def test_defaults_pass_their_own_checks(kind: str) -> None:
    for name, row in TABLES[kind].items():
        default = row[1]
        # A class or a password of nobody has no text; an empty list may be a default that nobody may set.
        if default is None or (row[0] == LIST and not default):
            continue
        assert parse_valid(name, to_text(default), row) == (list(default) if row[0] == LIST else default), name


@pytest.mark.parametrize("kind", TABLES)
def test_rows_are_well_formed(kind: str) -> None:
    for name, (type_id, _, validator, update_mode, flags) in TABLES[kind].items():
        assert 1 <= type_id <= PASSWORD, name
        assert READ_ONLY <= update_mode <= PER_BROKER, name
        assert 0 <= flags <= REQUIRED | INTERNAL | INERT, name
        assert validator is None or isinstance(validator[0], str), name
        importance, sentence = DOCUMENTATION[kind][name]
        assert importance in (0, 1, 2)
        assert sentence.endswith("."), name


@pytest.mark.parametrize(
    ("values", "table"),
    [(BrokerConfig, BROKER), (TopicConfig, TOPIC), (GroupConfig, GROUP)],
    ids=["broker", "topic", "group"],
)
def test_every_config_is_an_attribute_with_its_default(values: type, table: dict[str, Row]) -> None:
    for name, row in table.items():
        value = getattr(values, attribute(name))
        if name in OUR_DEFAULTS and table is BROKER:
            assert value == parse_valid(name, OUR_DEFAULTS[name], row)
        else:
            assert value == (list(row[1]) if isinstance(row[1], tuple) else row[1]), name


def test_synonyms_are_broker_configs() -> None:
    for name, synonyms in definitions.BROKER_SYNONYMS.items():
        assert name in BROKER
        assert name in synonyms
        assert set(synonyms) <= BROKER.keys()
    for table, synonyms_of in ((TOPIC, definitions.TOPIC_SYNONYMS), (GROUP, definitions.GROUP_SYNONYMS)):
        assert not synonyms_of.keys() - table.keys()
        assert not {name for names in synonyms_of.values() for name in names} - BROKER.keys()


def test_our_defaults_are_for_the_broker() -> None:
    assert not OUR_DEFAULTS.keys() - BROKER.keys()
