"""A share group of the golden directories, written by a real Kafka: the same member makes us write the same bytes."""

from pykbroker.coordinator.log_records import decode_batches
from pykbroker.coordinator.shard import CoordinatorRecord
from tests.coordinator.group.consumer_plays import topics_image
from tests.coordinator.group.plays import TP
from tests.coordinator.group.replayed import replayed
from tests.coordinator.group.share_plays import SharePlay, beat, initializes, joins
from tests.coordinator.group.test_consumer_golden import IDS, TOPICS
from tests.coordinator.group.test_service import offset_logs

GROUP = "group-share"
TOPIC = "default.config_topic-1"
WITH_TIME = "ShareGroupTargetAssignmentMetadataKey"


def share_records(log: bytes) -> list[tuple[str, bytes, bytes | None]]:
    """Keys and values as they stand in the log, but for the time when a target assignment was made."""
    found = []
    for entry in decode_batches("group", log):
        record = entry.content
        if not isinstance(record, CoordinatorRecord) or not type(record.key).__name__.startswith("ShareGroup"):
            continue
        name = type(record.key).__name__
        value = None if record.value is None else bytes(record.value.encode(record.version))
        if value is not None and name == WITH_TIME:
            value = value.replace(record.value.assignment_timestamp.to_bytes(8, "big"), b"")  # type: ignore[union-attr]
        found.append((name, bytes(record.key.encode(0)), value))
    return found


def test_the_same_bytes() -> None:
    kafkas = [row for _, log in offset_logs("clean") for row in share_records(log)]
    assert len(kafkas) == 15
    (_, key, _) = kafkas[0]
    member_id = key[-22:].decode()
    play = SharePlay()
    play.image = topics_image(TOPICS, ids=IDS)
    who = {"member_id": member_id, "group_id": GROUP}
    name = "consumer-group-share-2"
    play << joins(name, TOPIC, host="127.0.0.1", **who) << initializes
    play << beat(name, 2, host="127.0.0.1", **who) << beat(name, -1, **who)
    assert share_records(b"".join(play.log.batches[TP])) == kafkas


def test_the_group_of_kafka_goes_on() -> None:
    """Its partitions are known, so who joins has them at once."""
    play = SharePlay()
    play.image = topics_image(TOPICS, ids=IDS)
    for _, log in offset_logs("clean"):
        if share_records(log):
            play.log.append_log(TP, log)
    play.reload()
    group = play.shard.groups.get(GROUP)
    assert group is not None
    before = group.epochs.group  # type: ignore[union-attr]
    play << joins("x", TOPIC, group_id=GROUP)
    answer = play.take("x").response
    assert answer.member_epoch == before + 1
    assert [row.topic_id for row in answer.assignment.topic_partitions] == [IDS[TOPIC]]
    assert replayed(play.log, TP, play.new_shard).groups.get(GROUP) is not None
