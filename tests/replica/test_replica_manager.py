import errno
import os
from typing import Any

import pytest

from pykbroker.config.topic_config import TopicConfig
from pykbroker.coordinator.partition_writer import PartitionWriter
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicIdPartition, TopicPartition, Uuid
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.local_changes import LocalChanges
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.metadata.topics import TopicImage, TopicsImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.remove_topic_record import RemoveTopicRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from pykbroker.record.batch import iterate_batches
from pykbroker.record.builder import build_batch
from pykbroker.replica.delayed_fetch import Awaited, DelayedFetch
from pykbroker.replica.partition import Partition
from pykbroker.replica.replica_manager import ReplicaManager
from tests.replica.stand import NODE_ID, Stand, partition_image

T0 = TopicPartition("t", 0)


def batch(records: int = 1, size: int = 5) -> bytearray:
    return build_batch([(b"k", b"v" * size, [], 1_700_000_000_000 + i) for i in range(records)])


def code_of(stand: Stand, topic: str = "t", index: int = 0) -> int:
    with pytest.raises(KafkaError) as caught:
        stand.replicas.partition(TopicPartition(topic, index))
    return caught.value.code


def test_follows_the_image(stand: Stand) -> None:
    topic_id = stand.create("t", partitions=2)
    assert [str(partition.topic_partition) for partition in stand.replicas] == ["t-0", "t-1"]
    assert stand.partition("t", 1).is_leader
    assert stand.replicas.name_of(topic_id) == "t"
    assert stand.replicas.find("t", 1) is stand.partition("t", 1)
    assert stand.replicas.find("t", 2) is stand.replicas.find("u", 0) is None
    stand.delete("t")
    assert list(stand.replicas) == []
    assert stand.replicas.name_of(topic_id) is None
    assert code_of(stand) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_tells_why_a_partition_is_not_here(stand: Stand) -> None:
    elsewhere = partition_image(2, 3)._replace(replicas=(2,), isr=(2,))
    stand.set_topic(TopicImage("far", Uuid.random(), {0: elsewhere}))
    stand.replicas._forget(TopicPartition("far", 0))  # Stand gives every partition to this broker
    assert code_of(stand, "far") == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert stand.replicas.leader_of("far", 0) == (2, 3)
    assert code_of(stand, "none") == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert stand.replicas.leader_of("none", 0) == (-1, -1)
    assert (stand.replicas.knows("far", 0), stand.replicas.knows("far", 1)) == (True, False)


def test_a_topic_that_comes_back_is_empty(stand: Stand) -> None:
    first = stand.create("t")
    old = stand.partition("t")
    old.append(batch(3), -1, stand.clock.wall_ms())
    stand.delete("t")
    second = stand.create("t")
    assert first != second
    new = stand.partition("t")
    assert (new.topic_id, new.log.log_end_offset, old.is_leader) == (second, 0, False)


def test_the_first_image_brings_back_the_logs_and_sets_strays_aside(stand: Stand) -> None:
    """What was deleted, or made anew, while this broker was away; or the metadata was lost: nothing of it goes."""
    for name in ("kept", "gone", "replaced"):
        stand.create(name)
        stand.partition(name).append(batch(3), -1, stand.clock.wall_ms())
    kept = stand.image.topics.get("kept")
    assert kept is not None
    replaced = TopicImage("replaced", Uuid.random(), {0: partition_image(NODE_ID, 0)})
    records = [TopicRecord(name=topic.name, topic_id=topic.id) for topic in (kept, replaced)] + [
        PartitionRecord(partition_id=0, topic_id=topic.id, replicas=[NODE_ID], isr=[NODE_ID], leader=NODE_ID)
        for topic in (kept, replaced)
    ]
    again = Follower(stand)
    again.replay(*records)
    found = {str(partition.topic_partition): partition.log.log_end_offset for partition in again.replicas}
    assert found == {"kept-0": 3, "replaced-0": 0}
    assert {str(log.topic_partition) for log in stand.logs.all()} == set(found)
    assert again.replicas.partition(TopicPartition("replaced", 0)).topic_id == replaced.id
    names = os.listdir(stand.logs.directories[0].path)
    assert sorted(name.split(".")[0] for name in names if name.endswith("-stray")) == ["gone-0", "replaced-0"]
    assert not stand.logs.doomed_directories


class Follower:
    """A replica manager that follows metadata records."""

    def __init__(self, stand: Stand) -> None:
        self.publisher = MetadataPublisher("cluster")
        self.replicas = ReplicaManager(
            node_id=NODE_ID, logs=stand.logs, clock=stand.clock, config_for=lambda topic: self.config_for(stand, topic)
        )
        self.publisher.subscribe(self.replicas)

    def config_for(self, stand: Stand, topic: str) -> TopicConfig:
        return TopicConfig.build(stand.config, self.publisher.image.configs.topic(topic))

    def replay(self, *records: Message) -> None:
        delta = MetadataDelta(self.publisher.image)
        for record in records:
            delta.replay(record)
        self.publisher.publish(delta, delta.apply(self.publisher.image.offset + len(records), 1))


def test_later_images_change_what_is_there(stand: Stand) -> None:
    follower = Follower(stand)
    follower.replay()
    topic_id = Uuid.random()
    follower.replay(
        TopicRecord(name="t", topic_id=topic_id),
        ConfigRecord(resource_type=2, resource_name="t", name="max.message.bytes", value="100"),
        PartitionRecord(
            partition_id=0, topic_id=topic_id, replicas=[NODE_ID], isr=[NODE_ID], leader=NODE_ID, leader_epoch=0
        ),
    )
    partition = follower.replicas.partition(T0)
    assert partition.is_leader
    assert partition.log.config.max_message_bytes == 100
    follower.replay(
        ConfigRecord(resource_type=2, resource_name="t", name="max.message.bytes", value="200"),
        PartitionChangeRecord(partition_id=0, topic_id=topic_id, leader=NODE_ID),
    )
    assert follower.replicas.partition(T0) is partition
    assert (partition.leader_epoch, partition.log.config.max_message_bytes) == (1, 200)
    follower.replay(RemoveTopicRecord(topic_id=topic_id))
    assert list(follower.replicas) == list(stand.logs.all()) == []


def test_broker_defaults_reach_all_logs(stand: Stand) -> None:
    stand.create("t")
    stand.create("u", max_message_bytes="5000")
    stand.config = stand.config.with_overrides({"message.max.bytes": "1000"})
    stand.replicas.update_all_configs()
    assert [stand.partition(name).log.config.max_message_bytes for name in "tu"] == [1000, 5000]


def test_a_failed_directory_takes_its_partitions_offline(stand: Stand) -> None:
    stand.create("t")
    partition = stand.partition("t")
    waiters: list[int] = []

    class Waiter:
        def on_append(self, *_: object) -> None: ...
        def on_change(self) -> None:
            waiters.append(1)

    partition.waiters.add(Waiter())
    stand.logs.fail(stand.logs.directories[0], OSError(errno.EIO, "gone"))
    assert code_of(stand) == ErrorCode.KAFKA_STORAGE_ERROR
    assert (partition.is_leader, waiters) == (False, [1])
    stand.create("new")
    assert code_of(stand, "new") == ErrorCode.KAFKA_STORAGE_ERROR


def test_changed_configs_reach_the_log(stand: Stand) -> None:
    stand.create("t")
    stand.overrides["t"] = {"max.message.bytes": "100"}
    stand.replicas.update_topic_config("t")
    with pytest.raises(KafkaError) as caught:
        stand.partition("t").append(batch(1, 200), 1, stand.clock.wall_ms())
    assert caught.value.code == ErrorCode.MESSAGE_TOO_LARGE


class TestPartitionWriter:
    def writer(self, stand: Stand) -> PartitionWriter:
        stand.create("t")
        return stand.replicas

    def test_appends_with_its_epoch_and_tells_the_end(self, stand: Stand) -> None:
        writer = self.writer(stand)
        assert writer.append_batch(T0, batch(2), 0) == 2
        assert writer.append_batch(T0, batch(1), 0) == 3
        assert writer.log_bounds(T0) == (0, 3)

    def test_refuses_another_epoch(self, stand: Stand) -> None:
        writer = self.writer(stand)
        stand.elect("t", NODE_ID, 2)
        for epoch in (0, 1, 3):
            with pytest.raises(KafkaError) as caught:
                writer.append_batch(T0, batch(), epoch)
            assert caught.value.code == ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert writer.append_batch(T0, batch(), 2) == 1

    def test_refuses_when_it_leads_no_more(self, stand: Stand) -> None:
        writer = self.writer(stand)
        stand.elect("t", 2, 0)
        for call in (lambda: writer.append_batch(T0, batch(), 0), lambda: writer.log_bounds(T0)):
            with pytest.raises(KafkaError) as caught:
                call()
            assert caught.value.code == ErrorCode.NOT_LEADER_OR_FOLLOWER

    def test_refuses_what_is_too_large(self, stand: Stand) -> None:
        writer = self.writer(stand)
        stand.overrides["t"] = {"max.message.bytes": "100"}
        stand.replicas.update_topic_config("t")
        with pytest.raises(KafkaError) as caught:
            writer.append_batch(T0, batch(1, 200), 0)
        assert caught.value.code == ErrorCode.MESSAGE_TOO_LARGE

    @pytest.mark.parametrize("max_bytes", [0, 1, 150, 10_000])
    def test_reads_whole_batches(self, stand: Stand, max_bytes: int) -> None:
        writer = self.writer(stand)
        for _ in range(5):
            writer.append_batch(T0, batch(2), 0)
        offset = 0
        while data := writer.read_for_load(T0, offset, max_bytes):
            headers = [header for header, _ in iterate_batches(data)]
            assert sum(header.size_in_bytes for header in headers) == len(data)
            assert headers[0].base_offset == offset
            offset = headers[-1].next_offset
        assert offset == 10

    def test_listeners_hear_of_the_high_watermark(self, stand: Stand) -> None:
        writer = self.writer(stand)
        seen: list[int] = []
        writer.add_high_watermark_listener(T0, seen.append)
        writer.append_batch(T0, batch(2), 0)
        writer.remove_high_watermark_listener(T0, seen.append)
        writer.remove_high_watermark_listener(T0, seen.append)
        writer.append_batch(T0, batch(2), 0)
        assert seen == [2]
        with pytest.raises(KafkaError):
            writer.add_high_watermark_listener(TopicPartition("none", 0), seen.append)


def test_a_shutdown_serves_no_partition_and_wakes_who_waits(stand: Stand) -> None:
    stand.create("topic")
    partition = stand.partition("topic")
    woken = []
    waiting = DelayedFetch([Awaited(partition, 0, 100)], 1, False, lambda: woken.append(True))
    waiting.arm()
    stand.replicas.shut_down()
    assert woken == [True]
    assert stand.replicas.find("topic", 0) is None
    assert not partition.is_leader
    assert stand.replicas.missing("topic", 0).code == ErrorCode.NOT_LEADER_OR_FOLLOWER


class Misunderstood:
    """A bug of ours in one partition, until it is mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, index: int) -> None:
        self.is_mended = False
        apply = Partition.apply

        def broken(partition: Partition, *arguments: Any) -> bool:
            if partition.topic_partition.partition == index and not self.is_mended:
                raise ZeroDivisionError
            return apply(partition, *arguments)

        monkeypatch.setattr(Partition, "apply", broken)
        monkeypatch.setattr("pykbroker.verify.ENABLED", False)


def test_a_bug_in_one_partition_takes_only_that_one_offline(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Until the controller decides something new of it."""
    bug = Misunderstood(monkeypatch, 1)
    stand.create("t", partitions=3)
    assert [str(partition.topic_partition) for partition in stand.replicas] == ["t-0", "t-2"]
    assert code_of(stand, "t", 1) == ErrorCode.KAFKA_STORAGE_ERROR
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "t-1" in record.getMessage()
    assert record.exc_info is not None
    bug.is_mended = True
    stand.elect("t", NODE_ID, 1, index=1)
    assert stand.partition("t", 1).is_leader


def test_a_leader_that_does_not_understand_the_metadata_leads_no_more(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.create("t")
    before = stand.partition("t")
    before.append(batch(3), -1, stand.clock.wall_ms())
    bug = Misunderstood(monkeypatch, 0)
    stand.elect("t", NODE_ID, 1)
    assert not before.is_leader
    assert code_of(stand) == ErrorCode.KAFKA_STORAGE_ERROR
    bug.is_mended = True
    stand.elect("t", NODE_ID, 2)
    after = stand.partition("t")
    assert (after.is_leader, after.leader_epoch, after.log.log_end_offset) == (True, 2, 3)


def test_one_partition_is_one_step(stand: Stand) -> None:
    """Others run between them."""
    topic = TopicImage("t", Uuid.random(), {index: partition_image(NODE_ID, 0) for index in range(5)})
    leaders = {TopicIdPartition(topic.id, "t", index): image for index, image in topic.partitions.items()}
    stand.image.topics = TopicsImage({topic.id: topic}, {"t": topic})
    steps = stand.replicas.apply(LocalChanges(leaders, {}, set(), set()), stand.image)  # type: ignore[arg-type]
    assert [len(list(stand.replicas)) for _ in steps] == [1, 2, 3, 4, 5]
    steps = stand.replicas.apply(LocalChanges({}, {}, set(leaders), set()), stand.image)  # type: ignore[arg-type]
    assert [len(list(stand.replicas)) for _ in steps] == [4, 3, 2, 1, 0]
