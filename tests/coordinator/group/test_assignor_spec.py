"""Whether everyone subscribes to the same."""

from pykbroker.coordinator.group.assignor_spec import GroupSpec, SpecMember
from tests.coordinator.group.consumer_plays import topic_id


def test_homogeneous() -> None:
    one, other = frozenset({topic_id("t")}), frozenset({topic_id("u")})
    assert GroupSpec({}, {}).is_homogeneous
    assert GroupSpec({"a": SpecMember(one, {}), "b": SpecMember(one, {})}, {}).is_homogeneous
    assert not GroupSpec({"a": SpecMember(one, {}), "b": SpecMember(other, {})}, {}).is_homogeneous
