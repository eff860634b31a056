"""A group of the golden directories, written by a real Kafka: the same member makes us write the same records."""

from typing import Any

from pykbroker.coordinator.log_records import decode_batches
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.ids import Uuid
from pykbroker.protocol.message import Struct
from tests.coordinator.group.consumer_plays import ConsumerPlay, beat, joins, topics_image
from tests.coordinator.group.plays import TP
from tests.coordinator.group.test_service import offset_logs

GROUP = "group-new"
TOPICS = {"plain": 2, "default.config_topic-1": 3}
IDS = {"plain": Uuid.parse("OD9UZhqlT3KWWq0bah-W8g"), "default.config_topic-1": Uuid.parse("9CZTP1QvSdK0kmjLwlKkMg")}


def plain(value: Any) -> Any:
    """Rows in any order; when a target assignment was made is not said."""
    if isinstance(value, Struct):
        rows = {name: plain(getattr(value, name)) for name in value.__slots__}
        return {name: row for name, row in rows.items() if name not in ("assignment_timestamp", "unknown_tags")}
    if isinstance(value, list):
        return sorted(map(plain, value), key=str)
    return value


def consumer_records(log: bytes) -> list[tuple[str, Any, Any]]:
    found = []
    for entry in decode_batches("group", log):
        record = entry.content
        if isinstance(record, CoordinatorRecord) and type(record.key).__name__.startswith("ConsumerGroup"):
            found.append((type(record.key).__name__, plain(record.key), plain(record.value)))
    return found


def test_the_same_records() -> None:
    kafkas = [row for _, log in offset_logs("clean") for row in consumer_records(log)]
    (member_id,) = {row[1]["member_id"] for row in kafkas if "member_id" in row[1]}
    play = ConsumerPlay()
    play.image = topics_image(TOPICS, ids=IDS)
    who = {"member_id": member_id, "group_id": GROUP}
    play << joins("consumer-group-new-1", *TOPICS, rebalance_timeout_ms=300_000, host="127.0.0.1", **who)
    play << beat("consumer-group-new-1", -1, **who)
    assert consumer_records(b"".join(play.log.batches[TP])) == kafkas
