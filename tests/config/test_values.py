"""Typed attributes over class-level defaults."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.types import InvalidValue
from pykbroker.config.values import attribute


def test_attributes_have_kafka_s_names() -> None:
    assert attribute("log.segment.bytes") == "log_segment_bytes"
    assert attribute("a-b.c") == "a_b_c"


def test_what_was_set_and_what_was_not() -> None:
    config = BrokerConfig({"log.segment.bytes": "2000000", "unknown": "x"})
    assert (config.log_segment_bytes, config.num_partitions) == (2000000, 1)
    assert config.get("log.segment.bytes") == 2000000
    assert config.texts == {"log.segment.bytes": "2000000", "unknown": "x"}
    with pytest.raises(KeyError):
        config.get("unknown")
    assert BrokerConfig().log_segment_bytes == 1073741824


def test_an_invalid_value_is_refused() -> None:
    with pytest.raises(InvalidValue):
        BrokerConfig({"log.segment.bytes": "x"})


def test_overrides_take_away_synonyms_and_leave_the_original() -> None:
    config = BrokerConfig({"log.roll.ms": "5", "num.partitions": "2"})
    changed = config.with_overrides({"log.roll.hours": "3"})
    assert changed.texts == {"log.roll.hours": "3", "num.partitions": "2"}
    assert (changed.log_roll_ms, changed.log_roll_hours, config.log_roll_ms) == (None, 3, 5)
