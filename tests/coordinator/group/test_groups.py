"""The table of all groups."""

import pytest

from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.groups import Groups
from pykbroker.coordinator.group.streams_group import StreamsGroup
from pykbroker.coordinator.timeline import Timeline
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E


def test_looking_up() -> None:
    timeline = Timeline()
    groups = Groups(timeline)
    classic, streams = ClassicGroup("c", 0), StreamsGroup("f", timeline)
    groups.put(classic)
    groups.put(streams)
    assert (groups.get("c"), groups.classic("c"), groups.classic("f"), groups.get("x")) == (
        classic,
        classic,
        None,
        None,
    )
    assert (len(groups), groups.ids(), "c" in groups, list(groups)) == (2, ["c", "f"], True, [classic, streams])
    assert groups.committed() == []
    for lookup in (lambda: groups.require("x"), lambda: groups.require("c", committed=True)):
        with pytest.raises(KafkaError) as caught:
            lookup()
        assert caught.value.code == E.GROUP_ID_NOT_FOUND
    timeline.commit(1)
    assert groups.committed() == [classic, streams]
    assert groups.require_classic("c") is classic
    with pytest.raises(KafkaError, match=r"Group f is not a classic group\."):
        groups.require_classic("f")
    assert groups.require_streams("f") is streams
    with pytest.raises(KafkaError, match=r"Group c is not a streams group\."):
        groups.require_streams("c")
    timeline.offset = 1
    consumer = ConsumerGroup("k", timeline)
    groups.put(consumer)
    with pytest.raises(KafkaError, match=r"Group k not found\."):
        groups.require_consumer("k")
    timeline.commit(2)
    assert groups.require_consumer("k") is consumer
    with pytest.raises(KafkaError, match=r"Group c is not a consumer group\."):
        groups.require_consumer("c")
    assert groups.remove("c") is classic
    assert groups.remove("c") is None
