"""Each kind of group is loaded when the first of it appears, by a heartbeat or by a record."""

import subprocess
import sys

import pytest

from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.group.consumer_records import group_epoch_record
from pykbroker.coordinator.group.group_records import classic_group_tombstone
from pykbroker.coordinator.group.group_shard import GroupShard
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.shard import NO_PRODUCER_ID, CoordinatorRecord, Outcome
from pykbroker.protocol.persisted.group.share_group_metadata import ShareGroupMetadataKey, ShareGroupMetadataValue
from pykbroker.protocol.persisted.group.streams_group_metadata import (
    StreamsGroupMetadataKey,
    StreamsGroupMetadataValue,
)

LOADED_FOR_CLASSIC_GROUPS = """
import sys
from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.group.group_shard import GroupShard
from pykbroker.coordinator.shard import NO_PRODUCER_ID
from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.group_records import new_classic_group_record

shard = GroupShard(BrokerConfig(), ManualClock())
shard.replay(0, NO_PRODUCER_ID, new_classic_group_record(ClassicGroup("g", 0)))
shard.on_loaded()
shard.expire_offsets()
shard.topics_deleted([])
print("\\n".join(sys.modules))
"""
KINDS = ("consumer", "share", "streams")
PREFIX = "pykbroker.coordinator.group."
SHARE = CoordinatorRecord(ShareGroupMetadataKey(group_id="s"), ShareGroupMetadataValue(epoch=3))
STREAMS = CoordinatorRecord(StreamsGroupMetadataKey(group_id="t"), StreamsGroupMetadataValue(epoch=3))


def loaded(shard: GroupShard) -> set[str]:
    modern = shard._modern
    found = {"consumer": modern._consumers, "share": modern._shares, "streams": modern._streams}
    return {name for name, kind in found.items() if kind is not None}


def test_classic_groups_load_no_other() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED_FOR_CLASSIC_GROUPS], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.split())
    assert PREFIX + "classic" in modules
    for kind in KINDS:
        assert not modules & {PREFIX + kind, f"{PREFIX}{kind}_records", f"{PREFIX}{kind}_replay"}
    messages = {name for name in modules if name.startswith("pykbroker.protocol.messages.")}
    assert not {name for name in messages if name.endswith(("_describe", "_groups"))}


@pytest.mark.parametrize(
    ("record", "kind", "group_id"),
    [(group_epoch_record("c", 3, 0), "consumer", "c"), (SHARE, "share", "s"), (STREAMS, "streams", "t")],
)
def test_a_record_loads_its_kind(record: CoordinatorRecord, kind: str, group_id: str) -> None:
    shard = GroupShard(BrokerConfig(), ManualClock())
    shard.replay(0, NO_PRODUCER_ID, record)
    assert loaded(shard) == {kind}
    group = shard.groups.get(group_id)
    assert group is not None
    assert group.group_type == kind
    shard.on_loaded()
    shard.replay(1, NO_PRODUCER_ID, CoordinatorRecord(record.key, None))
    assert shard.groups.get(group_id) is None
    assert loaded(shard) == {kind}


def test_a_record_of_no_such_group_is_passed_over() -> None:
    shard = GroupShard(BrokerConfig(), ManualClock())
    shard._modern.replay(classic_group_tombstone("g"))
    assert loaded(shard) == set()


def test_what_asks_for_a_kind_loads_it() -> None:
    shard = GroupShard(BrokerConfig(), ManualClock())
    assert shard.shares is shard.shares
    assert loaded(shard) == {"share"}
    assert shard.streams is shard.streams
    consumers = shard.consumers
    assert consumers is shard.consumers
    assert shard.classic.consumer_side is not None
    assert consumers.migration is not None
    assert loaded(shard) == set(KINDS)


def test_timers_go_to_the_kind_they_belong_to() -> None:
    shard = GroupShard(BrokerConfig(), ManualClock())
    out: Outcome[None] = Outcome()
    key = ("share session", "s", "a")
    assert not shard._modern.on_deadline(key, out)
    shard.replay(0, NO_PRODUCER_ID, SHARE)
    assert shard._modern.on_deadline(key, out)
    assert not shard._modern.on_deadline(("heartbeat", "g", "a"), out)


def test_deleted_topics_are_told_to_share_groups_only_where_there_are_some() -> None:
    shard = GroupShard(BrokerConfig(), ManualClock())
    assert shard._modern.topics_deleted([]) == []
    shard.replay(0, NO_PRODUCER_ID, SHARE)
    assert isinstance(shard.groups.get("s"), ShareGroup)
    assert shard._modern.topics_deleted([]) == []
