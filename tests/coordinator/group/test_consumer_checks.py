"""What is refused; the wording is held by the dialogues."""

from typing import Any

import pytest

from pykbroker.coordinator.group.consumer_checks import (
    check_commit,
    check_epoch,
    check_fetch,
    check_heartbeat,
    check_released,
    check_room,
    known_static_member,
)
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.consumer_member import ClassicMetadata, ConsumerMember
from pykbroker.coordinator.timeline import Timeline
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from tests.coordinator.group.consumer_plays import topic_id

T = topic_id("t")
GOOD: dict[str, Any] = {
    "group_id": "g",
    "member_id": "m",
    "member_epoch": 0,
    "rebalance_timeout_ms": 1,
    "topic_partitions": [],
    "subscribed_topic_names": ["t"],
}


def code(check: Any, *arguments: Any, **named: Any) -> int:
    try:
        check(*arguments, **named)
    except KafkaError as error:
        return error.code
    return 0


@pytest.fixture
def group() -> ConsumerGroup:
    group = ConsumerGroup("g", Timeline())
    group.put_member(ConsumerMember("m", 5, 4, instance_id="i", owned={T: {0: 3}}, revoking={T: {1: 4}}))
    return group


@pytest.mark.parametrize(
    ("fields", "version", "expected"),
    [
        ({}, 1, 0),
        ({"member_id": ""}, 0, 0),
        ({"member_id": ""}, 1, E.INVALID_REQUEST),
        ({"member_id": "", "member_epoch": 1}, 0, E.INVALID_REQUEST),
        ({"member_id": "", "member_epoch": -1}, 0, E.INVALID_REQUEST),
        ({"group_id": " "}, 1, E.INVALID_REQUEST),
        ({"instance_id": ""}, 1, E.INVALID_REQUEST),
        ({"rack_id": ""}, 1, E.INVALID_REQUEST),
        ({"rebalance_timeout_ms": -1}, 1, E.INVALID_REQUEST),
        ({"topic_partitions": None}, 1, E.INVALID_REQUEST),
        ({"topic_partitions": [TopicPartitions(topic_id=T, partitions=[0])]}, 1, E.INVALID_REQUEST),
        ({"subscribed_topic_names": None}, 1, E.INVALID_REQUEST),
        ({"subscribed_topic_names": None, "subscribed_topic_regex": "x"}, 1, 0),
        ({"member_epoch": -2}, 1, E.INVALID_REQUEST),
        ({"member_epoch": -2, "instance_id": "i"}, 1, 0),
        ({"member_epoch": -3}, 1, E.INVALID_REQUEST),
        ({"server_assignor": "range"}, 1, 0),
        ({"server_assignor": "x"}, 1, E.UNSUPPORTED_ASSIGNOR),
    ],
)
def test_heartbeats(fields: dict[str, Any], version: int, expected: int) -> None:
    assert code(check_heartbeat, ConsumerGroupHeartbeatRequest(**(GOOD | fields)), version, ["range"]) == expected


@pytest.mark.parametrize(
    ("epoch", "reported", "expected"),
    [
        (5, None, 0),
        (0, None, 0),
        (6, None, E.FENCED_MEMBER_EPOCH),
        (4, None, E.FENCED_MEMBER_EPOCH),
        (4, {T: frozenset({0})}, 0),
        (4, {}, 0),
        (4, {T: frozenset({0, 1})}, E.FENCED_MEMBER_EPOCH),
        (4, {topic_id("u"): frozenset({0})}, E.FENCED_MEMBER_EPOCH),
        (3, {}, E.FENCED_MEMBER_EPOCH),
    ],
)
def test_epochs(group: ConsumerGroup, epoch: int, reported: Any, expected: int) -> None:
    assert code(check_epoch, group.member("m"), epoch, reported) == expected


def test_room(group: ConsumerGroup) -> None:
    assert [code(check_room, group, name, 1) for name in ("m", "x", "")] == [
        0,
        E.GROUP_MAX_SIZE_REACHED,
        E.GROUP_MAX_SIZE_REACHED,
    ]
    assert code(check_room, group, "x", 2) == 0


def test_static_members(group: ConsumerGroup) -> None:
    assert known_static_member(group, "i", "m").member_id == "m"
    assert code(known_static_member, group, "i", "x") == E.FENCED_INSTANCE_ID
    assert code(known_static_member, group, "j", "m") == E.UNKNOWN_MEMBER_ID
    assert code(check_released, group.member("m"), "x", "i") == E.UNRELEASED_INSTANCE_ID
    assert code(check_released, group.member("m")._replace(epoch=-2), "x", "i") == 0


@pytest.mark.parametrize(
    ("epoch", "partition", "expected"),
    [(5, 9, 0), (6, 0, E.STALE_MEMBER_EPOCH), (3, 0, 0), (4, 1, 0), (2, 0, E.STALE_MEMBER_EPOCH),
     (3, 1, E.STALE_MEMBER_EPOCH), (4, 9, E.STALE_MEMBER_EPOCH), (-1, 0, E.STALE_MEMBER_EPOCH)],
)  # fmt: skip
def test_commits_in_an_older_epoch(group: ConsumerGroup, epoch: int, partition: int, expected: int) -> None:
    rows = [("t", T, partition)]
    assert code(check_commit, group, "m", None, epoch, rows, transactional=False, version=9) == expected
    classic = group.member("m")._replace(classic=ClassicMetadata(1, ()))
    group.put_member(classic)
    as_classic = E.ILLEGAL_GENERATION if expected else 0
    assert code(check_commit, group, "m", None, epoch, rows, transactional=False, version=8) == as_classic


def test_other_commits(group: ConsumerGroup) -> None:
    rows = [("t", T, 0)]
    assert code(check_commit, group, "x", None, 5, rows, transactional=False, version=9) == E.UNKNOWN_MEMBER_ID
    assert code(check_commit, group, "m", None, 5, rows, transactional=False, version=8) == E.UNSUPPORTED_VERSION
    assert code(check_commit, group, "m", None, 5, rows, transactional=True, version=0) == 0
    assert code(check_commit, group, "", None, -1, rows, transactional=True, version=0) == 0
    assert code(check_commit, group, "", None, -1, rows, transactional=False, version=9) == E.UNKNOWN_MEMBER_ID
    assert code(check_commit, ConsumerGroup("e", Timeline()), "", None, -1, rows, transactional=False, version=2) == 0


def test_fetches() -> None:
    timeline = Timeline()
    group = ConsumerGroup("g", timeline)
    group.put_member(ConsumerMember("m", 5))
    assert code(check_fetch, group, None, -1, committed=True) == 0
    assert code(check_fetch, group, "m", 5, committed=False) == 0
    assert code(check_fetch, group, "m", 5, committed=True) == E.UNKNOWN_MEMBER_ID
    timeline.commit(1)
    assert code(check_fetch, group, "m", 5, committed=True) == 0
    assert code(check_fetch, group, "m", 4, committed=True) == E.STALE_MEMBER_EPOCH
    assert code(check_fetch, group, "", -1, committed=True) == E.UNKNOWN_MEMBER_ID
