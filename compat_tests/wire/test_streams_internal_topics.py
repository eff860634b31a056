"""Internal topics of streams groups: created with their configs, and what members hear when that fails."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pykbroker.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.streams_group_heartbeat import (
    KeyValue,
    StreamsGroupHeartbeatRequest,
    Subtopology,
    TopicInfo,
    Topology,
)

MISSING_INTERNAL_TOPICS = 3
LOADING = (14, 15, 16)
SECONDS = 20


@pytest.fixture
def coordinated(asker: SocketAsker) -> SocketAsker:
    """The first look-up makes the topic, in which groups are stored."""
    deadline = time.monotonic() + 60
    request = FindCoordinatorRequest(coordinator_keys=["g"], key_type=0)
    while asker.ask(request, 6).coordinators[0].error_code or asker.ask(first("probe", []), 0).error_code in (
        14,
        15,
        16,
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return asker


def first(group: str, subtopologies: list[Subtopology]) -> StreamsGroupHeartbeatRequest:
    return StreamsGroupHeartbeatRequest(
        group_id=group,
        member_id="a",
        rebalance_timeout_ms=300_000,
        topology=Topology(subtopologies=subtopologies),
        active_tasks=[],
        standby_tasks=[],
        warmup_tasks=[],
        process_id="p",
        client_tags=[],
    )


def configs_of(asker: SocketAsker, topic: str) -> dict[str, Any]:
    resource = DescribeConfigsResource(resource_type=2, resource_name=topic)
    (row,) = asker.ask(DescribeConfigsRequest(resources=[resource]), 4).results
    return {config.name: config.value for config in row.configs if config.config_source == 1}


def test_they_are_created_with_their_configs(coordinated: SocketAsker, group: str) -> None:
    source = coordinated.create(partitions=3)
    changelog = TopicInfo(
        name=f"{group}-changelog",
        topic_configs=[KeyValue(key="cleanup.policy", value="compact"), KeyValue(key="segment.bytes", value="2097152")],
    )
    between = f"{group}-repartition"
    answer = coordinated.ask(
        first(
            group,
            [
                Subtopology(subtopology_id="0", source_topics=[source.name], repartition_sink_topics=[between]),
                Subtopology(
                    subtopology_id="1",
                    repartition_source_topics=[TopicInfo(name=between, replication_factor=1)],
                    state_changelog_topics=[changelog],
                ),
            ],
        ),
        0,
    )
    (status,) = [row for row in answer.status if row.status_code == MISSING_INTERNAL_TOPICS]
    assert sorted(status.status_detail.removeprefix("Internal topics are missing: ").split(", ")) == sorted(
        [changelog.name, between]
    )
    heartbeats(coordinated, group, answer.member_epoch, lambda heard: MISSING_INTERNAL_TOPICS not in heard)
    assert configs_of(coordinated, changelog.name) == {"cleanup.policy": "compact", "segment.bytes": "2097152"}
    names = [DeleteTopicState(name=name) for name in (changelog.name, between)]
    rows = coordinated.ask(DeleteTopicsRequest(topics=names, timeout_ms=10_000), 6).responses
    assert [row.error_code for row in rows] == [0, 0]


def test_what_the_controller_refuses_is_told(coordinated: SocketAsker, group: str) -> None:
    source = coordinated.create(partitions=2)
    bad = TopicInfo(name=f"{group}-bad", topic_configs=[KeyValue(key="cleanup.policy", value="sometimes")])
    far = TopicInfo(name=f"{group}-far", replication_factor=9)
    row = Subtopology(subtopology_id="0", source_topics=[source.name], state_changelog_topics=[bad, far])
    answer = coordinated.ask(first(group, [row]), 0)
    heard = heartbeats(coordinated, group, answer.member_epoch, lambda told: "Creation failed" in str(told))
    detail = heard[MISSING_INTERNAL_TOPICS]
    missing, failed = detail.split("; Creation failed: ")
    assert missing.startswith("Internal topics are missing: ")
    policy = (
        f"{bad.name} (Invalid value sometimes for configuration cleanup.policy: String must be one of: compact, delete)"
    )
    replicas = f"{far.name} (Unable to replicate the partition 9 time(s): "
    assert policy.replace(bad.name, "") in failed, failed
    assert replicas in failed, failed


def heartbeats(asker: SocketAsker, group: str, epoch: int, done: Callable[[dict[int, str]], bool]) -> dict[int, str]:
    """Until what a member hears is so."""
    deadline = time.monotonic() + SECONDS
    heard: dict[int, str] = {}
    while time.monotonic() < deadline:
        answer = asker.ask(StreamsGroupHeartbeatRequest(group_id=group, member_id="a", member_epoch=epoch), 0)
        assert not answer.error_code, answer
        epoch = answer.member_epoch
        heard = {row.status_code: row.status_detail for row in answer.status}
        if done(heard):
            return heard
        time.sleep(0.1)
    raise AssertionError(heard)
