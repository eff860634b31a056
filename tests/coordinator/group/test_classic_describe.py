"""Classic groups in DescribeGroups."""

from pykbroker.coordinator.group.classic_describe import described
from tests.coordinator.group.plays import GroupPlay, join, leave, stable
from tests.playbook import answered


def test_a_stable_group_shows_everything() -> None:
    play = GroupPlay()
    play << stable("a", protocols={"range": b"meta"})
    row = described(play.group)
    assert (row.group_state, row.protocol_type, row.protocol_data, row.error_code) == ("Stable", "consumer", "range", 0)
    (member,) = row.members
    assert (member.client_id, member.client_host, member.group_instance_id) == ("a", "/10.0.0.1", None)
    assert (member.member_metadata, member.member_assignment) == (b"meta", b"a")


def test_a_rebalancing_group_hides_what_may_change() -> None:
    play = GroupPlay()
    play << stable("a", "b", protocols={"range": b"meta"}) << join("a")
    row = described(play.group)
    assert (row.group_state, row.protocol_data) == ("PreparingRebalance", "")
    assert [(m.member_metadata, m.member_assignment) for m in row.members] == [(b"", b"a"), (b"", b"b")]


def test_an_empty_group() -> None:
    play = GroupPlay()
    play << stable("a") << leave("a") >> answered("a", error_code=0)
    row = described(play.group)
    assert (row.group_state, row.protocol_type, row.members) == ("Empty", "consumer", [])
