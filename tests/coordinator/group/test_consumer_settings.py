"""Settings: the broker's, and what a group overrides."""

import logging

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.group.consumer_settings import ConsumerSettings, configured_assignors
from pykbroker.metadata.image import GROUP_RESOURCE, ConfigsImage, MetadataImage


def test_assignors_by_name_and_by_class() -> None:
    uniform = "org.apache.kafka.coordinator.group.assignor.UniformAssignor"
    assert list(configured_assignors(["range", uniform])) == ["range", "uniform"]


def test_assignors_that_are_none(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert list(configured_assignors(["com.example.Mine"])) == ["uniform"]
    assert "com.example.Mine" in caplog.text


@pytest.mark.parametrize(
    ("policy", "up", "down", "at_all"),
    [
        ("bidirectional", True, True, True),
        ("UPGRADE", True, False, True),
        ("downgrade", False, True, True),
        ("disabled", False, False, False),
    ],
)
def test_migration_policy(policy: str, up: bool, down: bool, at_all: bool) -> None:
    config = BrokerConfig()
    config.group_consumer_migration_policy = policy
    settings = ConsumerSettings(config, MetadataImage.empty)
    assert (settings.allows_upgrade, settings.allows_downgrade, settings.allows_migration) == (up, down, at_all)


def test_a_group_has_its_own() -> None:
    image = MetadataImage.empty()._replace(
        configs=ConfigsImage({(GROUP_RESOURCE, "g"): {"consumer.assignment.interval.ms": "5"}})
    )
    settings = ConsumerSettings(BrokerConfig(), lambda: image)
    assert (settings.assignment_interval_ms("g"), settings.assignment_interval_ms("h")) == (5, 0)
    assert (settings.session_timeout_ms("g"), settings.heartbeat_interval_ms("g")) == (45_000, 5_000)
    assert settings.default_assignor == "uniform"
