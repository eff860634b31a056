import errno
from pathlib import Path

import pytest

from pykbroker.coordinator.partition_writer import PartitionWriter
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.metadata.topics import TopicImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import iterate_batches
from pykbroker.record.builder import build_batch
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


def test_the_first_image_brings_back_the_logs_and_removes_strays(stand: Stand, tmp_path: Path) -> None:
    stand.create("kept")
    stand.create("stray")
    stand.create("replaced")
    for name in ("kept", "stray", "replaced"):
        stand.partition(name).append(batch(3), -1, stand.clock.wall_ms())
    stand.image.topics = type(stand.image.topics)(
        {topic.id: topic for topic in stand.image.topics if topic.name == "kept"},
        {topic.name: topic for topic in stand.image.topics if topic.name == "kept"},
    )
    image = stand.image
    replicas = ReplicaManager(node_id=NODE_ID, logs=stand.logs, clock=stand.clock, config_for=stand.config_for)
    replicas.load(image)  # type: ignore[arg-type]
    assert [str(partition.topic_partition) for partition in replicas] == ["kept-0"]
    assert replicas.partition(TopicPartition("kept", 0)).log.log_end_offset == 3
    assert [str(log.topic_partition) for log in stand.logs.all()] == ["kept-0"]


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
