"""Groups of kinds not served yet are carried along: listed, kept, deleted, followed by classic ones."""

from typing import Any

import pytest

from pykbroker.coordinator.group.foreign_group import ForeignGroup, foreign_type
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.lookup import persisted_class
from pykbroker.protocol.record_types import RECORD_TYPES
from tests.coordinator.group.plays import (
    GROUP,
    GroupPlay,
    commit,
    commit_answered,
    committed,
    delete_groups,
    in_state,
    join,
    reload,
)
from tests.playbook import after, answered

DAY = 24 * 3600


def record(name: str, *, tombstone: bool = False, **key: Any) -> CoordinatorRecord:
    """A record of GROUP, e.g. StreamsGroupMemberMetadata."""
    made: Any = persisted_class("group", f"{name}Key")(group_id=GROUP, **key)  # type: ignore[call-arg]
    return CoordinatorRecord(made, None if tombstone else persisted_class("group", f"{name}Value")())


def with_records(*records: CoordinatorRecord) -> GroupPlay:
    play = GroupPlay()
    from pykbroker.coordinator.log_records import encode_batch
    from tests.coordinator.group.plays import TP

    play.log.append_raw(TP, encode_batch(list(records), 1, 0))
    play.log.commit(TP)
    play.reload()
    return play


EMPTY_STREAMS = (record("StreamsGroupMetadata"), record("StreamsGroupTargetAssignmentMetadata"))
MEMBER = record("StreamsGroupMemberMetadata", member_id="m")


def test_types() -> None:
    kinds = {names[0]: foreign_type(persisted_class("group", names[0])()) for names in RECORD_TYPES["group"].values()}
    classic = {"OffsetCommitKey", "LegacyOffsetCommitKey", "GroupMetadataKey"}
    others = ("ConsumerGroup", "ShareGroup")
    ours = {name for name, kind in kinds.items() if kind is None and not name.startswith(others)}
    assert ours == classic
    assert set(kinds.values()) == {None, "streams"}


def test_members_come_and_go() -> None:
    group = ForeignGroup(GROUP, "streams")
    group.replay(MEMBER)
    assert (group.is_empty, group.state) == (False, "Assigning")
    group.replay(MEMBER._replace(value=None))
    assert (group.is_empty, group.is_gone) == (True, True)


def test_a_group_is_gone_with_its_last_record() -> None:
    play = with_records(*EMPTY_STREAMS)
    assert play.group.group_type == "streams"
    play = with_records(*EMPTY_STREAMS, *(row._replace(value=None) for row in EMPTY_STREAMS))
    assert play.group is None


def test_tombstones_of_what_is_not_there() -> None:
    assert with_records(record("ShareGroupMetadata", tombstone=True)).group is None


def test_it_is_deleted_with_all_its_records() -> None:
    play = with_records(*EMPTY_STREAMS)
    play << commit("x", 5, member=False) >> commit_answered("x") << delete_groups("x")
    assert play.take("x")[0].error_code == 0
    assert play.group is None
    play >> committed(None) << reload
    assert play.group is None


def test_not_while_it_has_members() -> None:
    play = with_records(*EMPTY_STREAMS, MEMBER)
    play << delete_groups("x")
    assert play.take("x")[0].error_code == E.NON_EMPTY_GROUP
    play << commit("x", 5, member=False) >> commit_answered("x", E.UNKNOWN_MEMBER_ID)
    play << join("a", version=1) >> answered("a", error_code=E.INCONSISTENT_GROUP_PROTOCOL)


@pytest.mark.parametrize("kind", ["ConsumerGroupMetadata", "StreamsGroupMetadata"])
def test_a_classic_group_follows_an_empty_one(kind: str) -> None:
    play = with_records(record(kind))
    play << commit("x", 5, member=False) >> commit_answered("x") << join("a", version=1) << after(3)
    play >> answered("a", generation_id=1) >> committed(5) << reload >> in_state("Empty") >> committed(5)
    assert play.group.group_type == "classic"


def test_share_groups_do_not_mix() -> None:
    play = with_records(record("ShareGroupMetadata"))
    play << join("a", version=1) >> answered("a", error_code=E.INCONSISTENT_GROUP_PROTOCOL)
    play << commit("x", 5, member=False) >> commit_answered("x", E.GROUP_ID_NOT_FOUND)
    play << after(20 * DAY)
    assert play.group.group_type == "share"


def test_offsets_of_an_empty_consumer_group_expire_and_the_group_too() -> None:
    play = with_records(record("ConsumerGroupMetadata"), record("ConsumerGroupTargetAssignmentMetadata"))
    play << commit("x", 5, member=False) >> commit_answered("x") << after(6.9 * DAY) >> committed(5)
    play << after(0.2 * DAY) >> committed(None)
    assert play.group is None
