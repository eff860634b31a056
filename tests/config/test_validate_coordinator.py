"""What the group coordinator demands of settings (GroupCoordinatorConfig)."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.errors import ConfigError
from pykbroker.config.validate_coordinator import check_coordinator, clamp_intervals


def test_the_defaults_are_valid() -> None:
    config = BrokerConfig()
    check_coordinator(config)
    assert clamp_intervals(config) is config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"group.consumer.heartbeat.interval.ms": "4999"},
            "group.consumer.heartbeat.interval.ms must be greater than or equal to "
            "group.consumer.min.heartbeat.interval.ms",
        ),
        (
            {"group.share.session.timeout.ms": "60001"},
            "group.share.session.timeout.ms must be less than or equal to group.share.max.session.timeout.ms",
        ),
        (
            {"group.streams.max.heartbeat.interval.ms": "50000", "group.streams.heartbeat.interval.ms": "45000"},
            "group.streams.heartbeat.interval.ms must be less than group.streams.session.timeout.ms",
        ),
        (
            {"group.consumer.min.assignment.interval.ms": "15001"},
            "group.consumer.max.assignment.interval.ms must be greater than or equal to "
            "group.consumer.min.assignment.interval.ms",
        ),
        (
            {"group.streams.num.standby.replicas": "3"},
            "group.streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas",
        ),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_coordinator(BrokerConfig(settings))
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", ["consumer", "share", "streams"])
@pytest.mark.parametrize(("value", "capped"), [("9", 10), ("15", 15), ("21", 20)])
def test_intervals_are_capped(kind: str, value: str, capped: int) -> None:
    bounds = {f"group.{kind}.min.assignment.interval.ms": "10", f"group.{kind}.max.assignment.interval.ms": "20"}
    config = clamp_intervals(BrokerConfig({**bounds, f"group.{kind}.assignment.interval.ms": value}))
    assert config.get(f"group.{kind}.assignment.interval.ms") == capped
