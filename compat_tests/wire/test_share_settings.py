"""Settings of a share group that decide which records its members get: where it begins, and what it does about
transactions. Both brokers answer the same.
"""

import time

import pytest

from compat_tests.wire.conftest import SocketAsker
from compat_tests.wire.test_share_groups import GROUP_CONFIG, Share
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from tests.handlers.broker.asker import Topic, batch, produce
from tests.handlers.cluster_asker import eventually
from tests.handlers.share_dialogue import ACCEPT, Member, Shared, acquired
from tests.handlers.transaction_dialogue import TransactionalProducer, begun

HOUR_MS = 3_600_000
HEARTBEAT_MS = 6000  # not the default: who hears it knows that the settings have arrived


class Joined(Shared):
    """A group with settings of its own that somebody has joined, so that its share partitions are initialized."""

    def __init__(self, asker: SocketAsker, topic: Topic, **settings: str) -> None:
        self.asker = asker
        self.topic = topic
        share = Share(asker).found()
        self.group = share.group
        settings["share_heartbeat_interval_ms"] = str(HEARTBEAT_MS)
        assert alter(asker, self.group, **settings)[0] == 0
        epoch = share.joined("a", topic, [0])
        eventually(lambda: share.beat("a", epoch), lambda answer: answer.heartbeat_interval_ms == HEARTBEAT_MS)


def alter(asker: SocketAsker, group: str, **settings: str) -> tuple[int, str | None]:
    """(error code, message); names with underscores."""
    configs = [
        AlterableConfig(name=name.replace("_", "."), config_operation=0, value=value)
        for name, value in settings.items()
    ]
    resource = AlterConfigsResource(resource_type=GROUP_CONFIG, resource_name=group, configs=configs)
    (row,) = asker.ask(IncrementalAlterConfigsRequest(resources=[resource]), 1).responses
    return row.error_code, row.error_message


def fill(asker: SocketAsker, topic: Topic, *ages_ms: int) -> None:
    """A record for each, so old."""
    now = int(time.time() * 1000)
    for age in ages_ms:
        assert produce(asker, topic, [(0, batch(timestamp=now - age))])[0].error_code == 0


def transaction(producer: TransactionalProducer, topic: Topic, *, commit: bool) -> None:
    """A record and a marker."""
    assert producer.produce(topic).error_code == 0
    assert producer.end(commit) == 0
    producer.at_rest()


def all_of(rows: list[tuple[int, int, int]]) -> list[int]:
    return [offset for first, last, _ in rows for offset in range(first, last + 1)]


def offsets(member: Member) -> list[int]:
    """Of all that it gets until nothing comes any more; it accepts everything."""
    found: list[int] = []
    rows = member.take()
    while rows:
        found += all_of(rows)
        response = member.fetch(*((first, last, [ACCEPT]) for first, last, _ in rows), max_wait_ms=300)
        rows = acquired(response)
    return found


# -- share.auto.offset.reset


@pytest.mark.parametrize(
    ("reset", "expected"),
    [
        ("earliest", [0, 1, 2, 3, 4]),
        ("latest", [4]),
        ("by_duration:PT1H", [2, 3, 4]),
        ("by_duration:P1D", [0, 1, 2, 3, 4]),
        ("by_duration:PT150M", [1, 2, 3, 4]),
        ("by_duration:PT1S", [4]),
    ],
)
def test_where_a_group_begins(asker: SocketAsker, reset: str, expected: list[int]) -> None:
    topic = asker.create()
    fill(asker, topic, 3 * HOUR_MS, 2 * HOUR_MS, HOUR_MS // 2, HOUR_MS // 4)
    member = Joined(asker, topic, share_auto_offset_reset=reset).member()
    assert all_of(acquired(member.fetch(max_wait_ms=1000))) == expected[:-1]
    fill(asker, topic, 0)
    assert all_of(member.take()) == [4]


@pytest.mark.parametrize(
    "reset", ["", "nowhere", "by_duration", "by_duration:", "by_duration:1h", "by_duration:-PT1H", "by_duration:P1M"]
)
def test_beginnings_that_are_none(asker: SocketAsker, reset: str) -> None:
    code, message = alter(asker, "a-group", share_auto_offset_reset=reset)
    assert code == E.INVALID_CONFIG
    assert "share.auto.offset.reset" in str(message)


# -- share.isolation.level


def test_by_default_members_get_what_was_aborted(asker: SocketAsker) -> None:
    topic = asker.create()
    producer = begun(asker)
    transaction(producer, topic, commit=False)
    transaction(producer, topic, commit=True)
    fill(asker, topic, 0)
    group = Joined(asker, topic, share_auto_offset_reset="earliest")
    assert offsets(group.member()) == [0, 1, 2, 3, 4]


def test_read_committed_leaves_out_what_was_aborted(asker: SocketAsker) -> None:
    topic = asker.create()
    producer = begun(asker)
    transaction(producer, topic, commit=False)
    transaction(producer, topic, commit=True)
    transaction(producer, topic, commit=False)
    fill(asker, topic, 0)
    group = Joined(asker, topic, share_auto_offset_reset="earliest", share_isolation_level="read_committed")
    assert offsets(group.member()) == [1, 2, 3, 5, 6]


def test_read_committed_waits_for_the_end_of_a_transaction(asker: SocketAsker) -> None:
    topic = asker.create()
    fill(asker, topic, 0)
    producer = begun(asker)
    assert producer.produce(topic).error_code == 0
    fill(asker, topic, 0)
    waiting = Joined(asker, topic, share_auto_offset_reset="earliest", share_isolation_level="read_committed").member()
    eager = Joined(asker, topic, share_auto_offset_reset="earliest", share_isolation_level="read_uncommitted").member()
    assert offsets(waiting) == [0]
    assert offsets(eager) == [0, 1, 2]
    assert producer.end(True) == 0
    producer.at_rest()
    assert offsets(waiting) == [1, 2, 3]


def test_the_level_changes_while_the_group_lives(asker: SocketAsker) -> None:
    """What was left out by then stays out, what comes later is given."""
    topic = asker.create()
    producer = begun(asker)
    transaction(producer, topic, commit=False)
    group = Joined(asker, topic, share_auto_offset_reset="earliest", share_isolation_level="read_committed")
    member = group.member()
    assert offsets(member) == [1]
    assert alter(asker, group.group, share_isolation_level="read_uncommitted")[0] == 0
    eventually(lambda: (transaction(producer, topic, commit=False), offsets(member))[1], lambda new: len(new) == 2)
