"""Classic members in a consumer group."""

from collections.abc import Callable
from typing import Any

from pykbroker.coordinator.group.consumer_member import MemberState
from pykbroker.coordinator.group.subscription import encode_assignment
from pykbroker.protocol.embedded.consumer_protocol import (
    ConsumerProtocolSubscription,
    ConsumerProtocolSubscriptionTopicPartition,
)
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.leave_group import MemberIdentity
from tests.coordinator.group.consumer_plays import ConsumerPlay, beat, hears, joins, topic_id
from tests.coordinator.group.plays import GroupPlay, alive, heartbeat, join, leave, sync
from tests.playbook import after, answered


def subscription(*topics: str, owned: tuple[int, ...] = ()) -> bytes:
    """Version 1, with partitions of t."""
    rows = [ConsumerProtocolSubscriptionTopicPartition(topic="t", partitions=list(owned))] if owned else []
    message = ConsumerProtocolSubscription(topics=list(topics or ("t",)), owned_partitions=rows)
    return b"\0\1" + bytes(message.encode(1))


def rejoins(name: str, *owned: int, **fields: Any) -> Callable[[GroupPlay], None]:
    return join(name, protocols={"range": subscription(owned=owned)}, **fields)


def mixed() -> ConsumerPlay:
    """a, of the new protocol, and c, a classic member that has joined: it shall get two partitions."""
    play = ConsumerPlay()
    play << joins("a") >> hears("a", 2, {"t": [0, 1, 2, 3]})
    play << rejoins("c", member_id="") >> answered("c", error_code=E.MEMBER_ID_REQUIRED)
    play << rejoins("c") >> answered("c", error_code=0, generation_id=3, protocol_name="range", leader="", members=[])
    return play


def assigned(play: ConsumerPlay, *partitions: int) -> bytes:
    return encode_assignment({topic_id("t"): partitions} if partitions else {}, play.image.topics, b"\0\1")


def test_it_joins_waits_and_gets_what_others_gave_back() -> None:
    play = mixed()
    play << sync("c", generation=3) >> answered("c", error_code=0, assignment=assigned(play))
    play >> alive("c") << beat("a", 2, {"t": [0, 1, 2, 3]}) << beat("a", 2, {"t": [0, 1]})
    play >> alive("c", E.REBALANCE_IN_PROGRESS)
    play << rejoins("c") >> answered("c", generation_id=3)
    play << sync("c") >> answered("c", assignment=assigned(play, 2, 3)) >> alive("c")


def test_it_goes_on_alone_as_a_classic_group() -> None:
    play = mixed()
    play << sync("c") << beat("a", -1)
    play.take("c")
    play << rejoins("c") >> answered("c", generation_id=4)
    assert play.group.group_type == "classic"


def test_it_must_sync_in_time() -> None:
    play = mixed()
    for _ in range(3):
        play << after(19) << beat("a", 2) << heartbeat("c")
    play << after(4) << beat("a", 2)
    assert set(play.consumers.members) == {"a"}


def test_it_must_rejoin_in_time() -> None:
    play = mixed()
    play << sync("c") << joins("b")
    for _ in range(8):
        play << after(9) << beat("a", 2) << beat("b", 4) << heartbeat("c")
    assert play.ids["c"] not in play.consumers.members


def test_its_session_is_its_own() -> None:
    play = mixed()
    play << sync("c") >> answered("c", error_code=0) << after(9) >> alive("c") << after(11)
    assert set(play.consumers.members) == {"a"}


def test_what_it_must_not_say() -> None:
    play = mixed()
    play << sync("c", generation=2) >> answered("c", error_code=E.ILLEGAL_GENERATION)
    play << sync("c", protocol_name="x") >> answered("c", error_code=E.INCONSISTENT_GROUP_PROTOCOL)
    play << sync("c", protocol_type="x") >> answered("c", error_code=E.INCONSISTENT_GROUP_PROTOCOL)
    play << sync("c", member_id="a", generation=2) >> answered("c", error_code=E.UNKNOWN_MEMBER_ID)
    play << heartbeat("c", generation=7) >> answered("c", error_code=E.ILLEGAL_GENERATION)
    play << heartbeat("c", member_id="x") >> answered("c", error_code=E.UNKNOWN_MEMBER_ID)
    (
        play
        << join("d", protocols={"sticky": subscription()}, version=3)
        >> answered("d", error_code=E.INCONSISTENT_GROUP_PROTOCOL)
    )
    play << join("d", protocols={"range": b"\0"}, version=3) >> answered("d", error_code=E.UNKNOWN_SERVER_ERROR)


def test_when_migration_is_off() -> None:
    play = ConsumerPlay(group_consumer_migration_policy="disabled")
    play << joins("a") << rejoins("c", version=3) >> answered("c", error_code=E.INCONSISTENT_GROUP_PROTOCOL)


def test_static_ones_and_who_removes_them() -> None:
    play = ConsumerPlay()
    play << joins("a") << rejoins("c", instance="i", version=9) >> answered("c", error_code=0)
    member_id = play.ids["c"]
    play << rejoins("c", instance="i", member_id="other") >> answered("c", error_code=E.FENCED_INSTANCE_ID)
    play << rejoins("c", instance="i", member_id="") >> answered("c", error_code=0)
    assert play.ids["c"] != member_id
    play << sync("c", group_instance_id="i") >> answered("c", error_code=0)
    unknown = MemberIdentity(member_id="", group_instance_id="j")
    play << leave("x", MemberIdentity(member_id="", group_instance_id="i"), unknown, MemberIdentity(member_id="z"))
    assert [row.error_code for row in play.take("x").members] == [0, E.UNKNOWN_MEMBER_ID, E.UNKNOWN_MEMBER_ID]
    assert set(play.consumers.members) == {"a"}
    play << leave("x", MemberIdentity(member_id="z"))
    assert play.take("x").members[0].error_code == E.UNKNOWN_MEMBER_ID


def test_an_old_generation_may_sync_while_it_gives_back() -> None:
    play = ConsumerPlay()
    play << joins("b", "u") << rejoins("c", version=3) << sync("c")
    generation = play.generations["c"]
    play << joins("a")
    play << rejoins("c", 0, 1, 2, 3)
    play.inbox.clear()
    member = play.consumers.members[play.ids["c"]]
    assert (member.state, member.epoch) == (MemberState.UNREVOKED_PARTITIONS, generation)
    play << sync("c", generation=generation) >> answered("c", error_code=0)
    play >> alive("c", E.REBALANCE_IN_PROGRESS)
