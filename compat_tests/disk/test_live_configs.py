"""Configs of topics and brokers that change while the broker runs have their effect at once. With --oracle: Kafka's."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.disk.handover import SETTINGS, asking
from compat_tests.disk.live_configs import CASES, Case, Live
from compat_tests.disk.restartable import Restartable, restartable
from pykbroker.config.definitions import BROKER as BROKER_CONFIGS
from pykbroker.config.definitions import TOPIC as TOPIC_CONFIGS
from pykbroker.config.definitions import TOPIC_SYNONYMS
from tests.handlers.cluster_asker import eventually
from tests.handlers.config_dialogue import BROKER, DELETE, DONE, NODE, SET, TOPIC, incremental

OFTEN = {
    **SETTINGS,
    "log.retention.check.interval.ms": "50",
    "log.initial.task.delay.ms": "50",
    "log.flush.interval.ms": str(2**63 - 1),
    "log.flush.scheduler.interval.ms": "50",
    "log.flush.offset.checkpoint.interval.ms": "50",
    "log.cleaner.backoff.ms": "50",
}
LEVELS = {"topic": None, "all brokers": (BROKER, ""), "this broker": (BROKER, NODE)}
# Its level is that of all brokers but for what wins.
FOR_THIS_BROKER = ("segment.bytes", "retention.ms", "max.message.bytes")
# What a single broker cannot show: how many replicas are in sync, who leads, and whom to throttle; and tiered storage.
ELSEWHERE = {
    "min.insync.replicas",
    "unclean.leader.election.enable",
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
    "remote.storage.enable",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
    "local.retention.bytes",
    "local.retention.ms",
    "internal.segment.bytes",
}


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restartable]:
    folder: Path = tmp_path_factory.mktemp("live")
    with restartable(request, folder, OFTEN) as broker:
        yield broker


@pytest.fixture
def live(broker: Restartable) -> Iterator[Live]:
    with asking(broker.bootstrap) as asker:
        yield Live(asker, broker.data_dir, time.time_ns() // 1_000_000)


def test_none_is_missing() -> None:
    assert {case.name for case in CASES} == set(TOPIC_CONFIGS) - ELSEWHERE
    assert all(case.broker_name in TOPIC_SYNONYMS[case.name] for case in CASES)
    assert all(BROKER_CONFIGS[case.broker_name][3] for case in CASES), "each of them is dynamic"


@pytest.mark.parametrize(
    ("case", "level"),
    [
        pytest.param(case, level, id=f"{case.name}-{level}")
        for case in CASES
        for level in LEVELS
        if level != "this broker" or case.name in FOR_THIS_BROKER
    ],
)
def test_a_change_has_its_effect_at_once(live: Live, case: Case, level: str) -> None:
    """And a topic that has a value of its own keeps to it; when the change is taken back, all is as before."""
    asker, key = live.asker, case.name.replace(".", "_")
    own = {} if level == "topic" else {key: case.default}
    changed = asker.create(1, **case.settings)
    control = asker.create(1, **{**case.settings, **own})
    kind, name = LEVELS[level] or (TOPIC, changed.name)
    config = case.name if kind == TOPIC else case.broker_name
    if case.before is not None:
        assert incremental(asker, kind, name, (config, SET, case.before)) == DONE
        if level == "topic":
            assert incremental(asker, TOPIC, control.name, (config, SET, case.before)) == DONE
        settle(live)
    assert not case.shows(live, control)
    if case.name.startswith("compression."):
        case.shows(live, changed)  # at the level before
    assert incremental(asker, kind, name, (config, SET, case.value)) == DONE
    eventually(lambda: case.shows(live, changed), bool)
    assert not case.shows(live, control)
    if level != "topic":
        assert incremental(asker, kind, name, (config, DELETE, None)) == DONE
        settle(live)


def settle(live: Live) -> None:
    """A real broker follows its controller a moment later: a topic that is created now knows of all changes before."""
    live.asker.delete(live.asker.create())
