"""By which rules a topic elects: its own configs, the broker's, the cluster's, the node's file, in this order."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.election_rules import allows_unclean, elr_enabled, rules_of
from pykbroker.controller.leader_election import ONLINE, PREFERRED, UNCLEAN
from pykbroker.metadata.image import BROKER_RESOURCE, TOPIC_RESOURCE, ConfigsImage, FeaturesImage, MetadataImage
from tests.controller.images import broker, image_of, topic_of

TOPIC = topic_of("t", (1, 2, 3))
UNCLEAN_CONFIG, MIN_ISR = "unclean.leader.election.enable", "min.insync.replicas"
LEVELS = {"topic": (TOPIC_RESOURCE, "t"), "broker": (BROKER_RESOURCE, "1"), "cluster": (BROKER_RESOURCE, "")}


def image(**levels: dict[str, str]) -> MetadataImage:
    configs = ConfigsImage({LEVELS[level]: values for level, values in levels.items()})
    return image_of(broker(1), topics=[TOPIC])._replace(configs=configs)


def test_without_configs() -> None:
    rules = rules_of(image(), BrokerConfig(), TOPIC)
    assert (rules.election, rules.min_isr, rules.elr_enabled, rules.metadata_version) == (ONLINE, 1, False, 30)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({}, 2),
        ({"cluster": {MIN_ISR: "1"}}, 1),
        ({"cluster": {MIN_ISR: "1"}, "broker": {MIN_ISR: "3"}}, 3),
        ({"cluster": {MIN_ISR: "1"}, "broker": {MIN_ISR: "1"}, "topic": {MIN_ISR: "2"}}, 2),
        ({"topic": {MIN_ISR: "9"}}, 3),
    ],
)
def test_min_insync_replicas_at_most_all_of_them(levels: dict[str, dict[str, str]], expected: int) -> None:
    config = BrokerConfig({MIN_ISR: "2"})
    assert rules_of(image(**levels), config, TOPIC).min_isr == expected


@pytest.mark.parametrize(
    ("text", "levels", "is_unclean"),
    [
        ("false", {}, False),
        ("true", {}, True),
        ("false", {"topic": {UNCLEAN_CONFIG: "True"}}, True),
        ("true", {"topic": {UNCLEAN_CONFIG: "false"}}, False),
        ("false", {"cluster": {UNCLEAN_CONFIG: "true"}}, True),
    ],
)
def test_unclean_elections(text: str, levels: dict[str, dict[str, str]], is_unclean: bool) -> None:
    config, state = BrokerConfig({UNCLEAN_CONFIG: text}), image(**levels)
    assert allows_unclean(state, config, "t") is is_unclean
    assert rules_of(state, config, TOPIC).election == (UNCLEAN if is_unclean else ONLINE)
    assert rules_of(state, config, TOPIC, PREFERRED).election == PREFERRED


@pytest.mark.parametrize(("metadata_version", "level", "enabled"), [(30, 1, True), (30, 0, False), (22, 1, False)])
def test_elr_needs_its_feature_and_its_records(metadata_version: int, level: int, enabled: bool) -> None:
    features = {"metadata.version": metadata_version, "eligible.leader.replicas.version": level}
    state = image()._replace(features=FeaturesImage(features))
    assert elr_enabled(state) is enabled
    assert rules_of(state, BrokerConfig(), TOPIC).elr_enabled is enabled
