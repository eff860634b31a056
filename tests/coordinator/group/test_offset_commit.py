"""What is written about offsets: commits, deletions, expiry. Scenarios 23, 24, 25, 31."""

import pytest

from pykbroker.coordinator.group.offset_commit import OffsetWriter
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.plays import (
    GROUP,
    GroupPlay,
    alive,
    commit,
    commit_answered,
    committed,
    delete_groups,
    delete_offsets,
    fetched,
    in_state,
    join,
    leave,
    reload,
    stable,
)
from tests.playbook import after, answered

DAY = 24 * 3600
SUBSCRIBED_TO_T = b"\0\1\0\0\0\1\0\1t\0\0\0\0"
OTHER_TOPIC = Uuid(15 * b"\7" + b"\2")


def consumers_of_t(name: str) -> object:
    return stable(name, protocols={"range": SUBSCRIBED_TO_T}, session=1_800_000)


def keeps_its_session(name: str, days: float) -> object:
    def event(play: GroupPlay) -> None:
        for _ in range(int(days * 48)):
            play.pass_time(1799)
            play >> alive(name)

    return event


def test_an_offset_survives_its_coordinator() -> None:
    play = GroupPlay()
    play << commit("x", 5, metadata="m") >> commit_answered("x") << reload >> committed(5)
    row = fetched(play)
    assert (row.metadata, row.committed_leader_epoch) == ("m", 3)


def test_members_commit_in_their_generation_only() -> None:
    play = GroupPlay()
    play << stable("a", "b") << commit("a", 1) >> commit_answered("a") >> committed(1)
    play << commit("a", 2, generation_id_or_member_epoch=7) >> commit_answered("a", E.ILLEGAL_GENERATION)
    play << commit("a", 2, member_id="nobody") >> commit_answered("a", E.UNKNOWN_MEMBER_ID)
    play << commit("x", 2, member=False) >> commit_answered("x", E.UNKNOWN_MEMBER_ID)
    play << commit("a", 2, group_instance_id="i") >> commit_answered("a", E.UNKNOWN_MEMBER_ID) >> committed(1)


def test_commits_between_generations() -> None:
    play = GroupPlay()
    play << stable("a", "b") << join("a") << commit("b", 1) >> commit_answered("b")
    play << join("b") >> answered("a", generation_id=2) >> answered("b", generation_id=2)
    play << commit("b", 2) >> commit_answered("b", E.REBALANCE_IN_PROGRESS) >> committed(1)


def test_commits_keep_the_session() -> None:
    play = GroupPlay()
    play << stable("a") << after(9) << commit("a", 1) >> commit_answered("a") << after(9) >> in_state("Stable")


@pytest.mark.parametrize(("version", "code"), [(8, E.ILLEGAL_GENERATION), (9, E.GROUP_ID_NOT_FOUND)])
def test_members_of_no_group(version: int, code: E) -> None:
    play = GroupPlay()
    play << commit("x", 1, version=version, member_id="m", generation_id_or_member_epoch=1)
    play >> commit_answered("x", code)


def test_an_empty_group_takes_commits_of_nobody() -> None:
    play = GroupPlay()
    play << stable("a") << leave("a") >> answered("a", error_code=0)
    play << commit("x", 5, member=False) >> commit_answered("x") >> committed(5)


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ("m" * 4096, 0),
        ("m" * 4097, E.OFFSET_METADATA_TOO_LARGE),
        ("ü" * 4096, 0),
        ("\U0001f600" * 2048, 0),
        ("\U0001f600" * 2049, E.OFFSET_METADATA_TOO_LARGE),
        (None, 0),
    ],
)
def test_metadata_is_measured_as_java_does(metadata: str | None, code: int) -> None:
    play = GroupPlay()
    play << commit("x", 5, metadata=metadata) >> commit_answered("x", code)
    assert fetched(play).metadata == ("" if code or metadata is None else metadata)


def test_delete_offsets_but_not_of_topics_being_consumed() -> None:
    play = GroupPlay()
    play << delete_offsets("x") >> answered("x", error_code=E.GROUP_ID_NOT_FOUND)
    play << consumers_of_t("a") << commit("a", 1) << commit("a", 2, topic="u")
    play.inbox.clear()
    play << delete_offsets("x") << delete_offsets("x", "u")
    assert play.take("x").topics[0].partitions[0].error_code == E.GROUP_SUBSCRIBED_TO_TOPIC
    assert play.take("x").topics[0].partitions[0].error_code == 0
    play >> committed(1) >> committed(None, topic="u") << reload >> committed(None, topic="u")


def test_groups_of_other_protocols_must_be_empty_to_delete_offsets() -> None:
    play = GroupPlay()
    play << stable("a", protocol_type="connect") << delete_offsets("x") >> answered("x", error_code=E.NON_EMPTY_GROUP)
    play << leave("a") >> answered("a", error_code=0) << delete_offsets("x")
    assert play.take("x").topics[0].partitions[0].error_code == 0


def test_delete_groups() -> None:
    play = GroupPlay()
    play << stable("a") << commit("a", 1) >> commit_answered("a") << delete_groups("x", GROUP, "none")
    assert [row.error_code for row in play.take("x")] == [E.NON_EMPTY_GROUP, E.GROUP_ID_NOT_FOUND]
    play << leave("a") >> answered("a", error_code=0) << delete_groups("x")
    assert play.take("x")[0].error_code == 0
    assert play.group is None
    play >> committed(None) << reload >> committed(None)


# -- expiry


def test_offsets_of_a_simple_group_expire_by_their_age() -> None:
    play = GroupPlay()
    play << commit("x", 1) >> commit_answered("x") << after(6 * DAY) << commit("x", 2, partition=1)
    play >> commit_answered("x") << after(1.1 * DAY) >> committed(None) >> committed(2, partition=1)
    play << after(6 * DAY) >> committed(None, partition=1)
    assert play.group is None


def test_replayed_offsets_keep_their_age() -> None:
    """Scenario 25 (KAFKA-8069): a reload neither loses offsets nor starts their retention anew."""
    play = GroupPlay()
    play << commit("x", 1) >> commit_answered("x") << after(6 * DAY) << reload >> committed(1)
    play << after(0.9 * DAY) >> committed(1) << after(0.2 * DAY) >> committed(None)


def test_nothing_expires_while_consumed() -> None:
    play = GroupPlay()
    play << consumers_of_t("a") << commit("a", 1) << commit("a", 2, topic="u")
    play.inbox.clear()
    play << keeps_its_session("a", 8) >> committed(1) >> committed(None, topic="u") >> in_state("Stable")


def test_nothing_expires_in_a_rebalance() -> None:
    """Scenario 23 (KAFKA-13636): old offsets of a group that rebalances stay, also of topics it does not read."""
    play = GroupPlay()
    play << consumers_of_t("a") << commit("a", 2, topic="u") >> commit_answered("a")
    play << keeps_its_session("a", 6.5)
    play << join("a", version=1, member_id="", client="b", protocols={"range": SUBSCRIBED_TO_T})
    play.pass_time(0)
    play.shard.groups.get(GROUP).members[play.ids["a"]].rebalance_timeout_ms = 10 * DAY * 1000  # type: ignore[union-attr]
    play >> in_state("PreparingRebalance")
    play.clock.advance(1 * DAY)
    assert play.shard.expire_offsets().records == []


def test_the_retention_of_a_group_begins_when_it_becomes_empty() -> None:
    play = GroupPlay()
    play << consumers_of_t("a") << commit("a", 1) >> commit_answered("a") << keeps_its_session("a", 6) << leave("a")
    play >> answered("a", error_code=0) << after(6.9 * DAY) >> committed(1) << reload >> committed(1)
    play << after(0.2 * DAY) >> committed(None)
    assert play.group is None


def test_empty_groups_without_offsets_go_soon() -> None:
    play = GroupPlay()
    play << join("a") >> answered("a", error_code=E.MEMBER_ID_REQUIRED) >> in_state("Empty") << after(601)
    assert play.group is None
    assert play.log.end(play.context.tp) == 2


def test_explicit_retention_times() -> None:
    play = GroupPlay()
    play << commit("x", 1, version=2, retention_time_ms=3_600_000) >> commit_answered("x") << after(3000)
    play >> committed(1) << reload << after(1300) >> committed(None)


@pytest.mark.parametrize("retention", [0, -5, -(2**63), 2**63 - 1])
def test_absurd_retention_times(retention: int) -> None:
    play = GroupPlay()
    play << commit("x", 1, version=2, retention_time_ms=retention) >> commit_answered("x") >> committed(1)
    play << after(700) >> committed(None)


def test_many_groups_expire_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    play = GroupPlay()
    for number in range(50):
        play.run("x", lambda shard, n=number: _simple_commit(shard.commit_offsets, f"g{n}"))  # type: ignore[misc]
    play.inbox.clear()
    monkeypatch.setattr("pykbroker.coordinator.group.group_shard._EXPIRATION_SLICE", 10)
    play.clock.advance(8 * DAY)
    play.context.on_deadline()
    assert len(play.shard.groups) == 45
    play << after(1)
    assert len(play.shard.groups) == 0


def _simple_commit(commit_offsets: object, group_id: str) -> object:
    from pykbroker.protocol.messages.offset_commit import (
        OffsetCommitRequest,
        OffsetCommitRequestPartition,
        OffsetCommitRequestTopic,
    )

    topic = OffsetCommitRequestTopic(name="t", partitions=[OffsetCommitRequestPartition()])
    assert isinstance(commit_offsets.__self__, OffsetWriter)  # type: ignore[attr-defined]
    return commit_offsets(9, OffsetCommitRequest(group_id=group_id, topics=[topic]))  # type: ignore[operator]


# -- topics deleted


def test_offsets_go_with_their_topic() -> None:
    """Scenario 31: the next topic of the same name inherits nothing."""
    play = GroupPlay()
    play << commit("x", 1) << commit("x", 2, topic="u") << commit("x", 3, partition=1, topic_id=OTHER_TOPIC)
    play.inbox.clear()
    topic_id = Uuid(15 * b"\7" + b"\1")
    play.run("x", lambda shard: shard.topics_deleted([("t", topic_id)]))
    play >> committed(None) >> committed(2, topic="u")
    assert play.shard.offsets.offsets.get(GROUP, ("t", 1)) is not None  # type: ignore[arg-type]
    play << reload >> committed(None)


def test_offsets_of_an_older_topic_are_not_told() -> None:
    play = GroupPlay()
    play << commit("x", 1) >> commit_answered("x")
    assert fetched(play, topic_id=OTHER_TOPIC).committed_offset == -1
    assert fetched(play, topic_id=Uuid(16)).committed_offset == 1
