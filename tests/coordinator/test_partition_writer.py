"""The replica layer's PartitionWriter, as a coordinator uses it: on real segment files, through a restart."""

from pathlib import Path

import pytest

from pykbroker.coordinator.group.service import OFFSETS_TOPIC, GroupCoordinatorService
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.metadata.topics import TopicImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequestGroup
from pykbroker.request import RequestContext
from tests.replica.stand import Stand, partition_image

CTX = RequestContext(8, 9)
TP = TopicPartition(OFFSETS_TOPIC, 0)


def commit_of(offset: int, metadata: str = "") -> OffsetCommitRequest:
    row = OffsetCommitRequestPartition(committed_offset=offset, committed_metadata=metadata)
    return OffsetCommitRequest(group_id="g", topics=[OffsetCommitRequestTopic(name="t", partitions=[row])])


async def offset_in(service: GroupCoordinatorService) -> list[int]:
    group = await service.offset_fetch(CTX, OffsetFetchRequestGroup(group_id="g", topics=None), False)
    return [row.committed_offset for topic in group.topics for row in topic.partitions]


def service_on(stand: Stand) -> GroupCoordinatorService:
    stand.config.offsets_topic_num_partitions = 1
    service = GroupCoordinatorService(stand.config, stand.clock, stand.replicas)
    service.on_elected(0, 0)
    return service


async def test_offsets_survive_a_restart(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    topic_id = stand.create(OFFSETS_TOPIC, cleanup_policy="compact")
    service = service_on(stand)
    for offset in range(100):
        answer = await service.offset_commit(CTX, commit_of(offset))
        assert answer.topics[0].partitions[0].error_code == 0
    assert await offset_in(service) == [99]
    stand.logs.shutdown(1)
    stand.close()

    stand = Stand(tmp_path)
    stand.set_topic(TopicImage(OFFSETS_TOPIC, topic_id, {0: partition_image(1, 0)}))
    service = service_on(stand)
    assert await offset_in(service) == [99]
    await service.offset_commit(CTX, commit_of(100))
    assert await offset_in(service) == [100]
    stand.close()


async def test_batches_too_large_for_the_topic(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.create(OFFSETS_TOPIC, max_message_bytes="500")
    service = service_on(stand)
    answer = await service.offset_commit(CTX, commit_of(1, "m" * 600))
    assert answer.topics[0].partitions[0].error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    answer = await service.offset_commit(CTX, commit_of(1, "m" * 300))
    assert answer.topics[0].partitions[0].error_code == 0
    stand.close()


async def test_a_partition_that_is_led_elsewhere(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    service = service_on(stand)
    with pytest.raises(KafkaError) as caught:
        service.runtime.shard(0)
    assert caught.value.code == ErrorCode.NOT_COORDINATOR
    topic_id = stand.create(OFFSETS_TOPIC)
    service.on_elected(0, 1)
    assert await offset_in(service) == []
    # The epoch moved on and nobody has told the coordinator yet.
    stand.set_topic(TopicImage(OFFSETS_TOPIC, topic_id, {0: partition_image(1, 5)}))
    answer = await service.offset_commit(CTX, commit_of(1))
    assert answer.topics[0].partitions[0].error_code == ErrorCode.NOT_COORDINATOR
    service.on_elected(0, 5)
    answer = await service.offset_commit(CTX, commit_of(1))
    assert answer.topics[0].partitions[0].error_code == 0
    stand.close()
