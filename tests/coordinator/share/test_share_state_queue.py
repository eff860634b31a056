"""States of share partitions kept elsewhere: what fits into one request, and whose answer is whose."""

from typing import Any

import pytest

from pykbroker.coordinator.share.share_state_queue import Answer, ShareStateQueue
from pykbroker.errors import KafkaError
from pykbroker.pending import Pending
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages import read_share_group_state as reading
from pykbroker.protocol.messages import write_share_group_state as writing
from tests.coordinator.share.plays import OTHER, TOPIC


def write(queue: ShareStateQueue, topic_id: Any, partition: int, group: str = "g", start: int = 0) -> Pending[Answer]:
    row = writing.PartitionData(partition, start_offset=start)
    topic = writing.WriteStateData(topic_id, [row])
    return queue.ask(2, writing.WriteShareGroupStateRequest(group, [topic]), topic, row)


def read(queue: ShareStateQueue, topic_id: Any, partition: int) -> Pending[Answer]:
    row = reading.PartitionData(partition)
    topic = reading.ReadStateData(topic_id, [row])
    return queue.ask(2, reading.ReadShareGroupStateRequest("g", [topic]), topic, row)


def only(queue: ShareStateQueue) -> tuple[Any, Any]:
    (request,) = queue.next_requests()
    return request, request.message


def rows(message: Any) -> list[tuple[Any, list[int]]]:
    return [(topic.topic_id, [row.partition for row in topic.partitions]) for topic in message.topics]


def written(*codes: tuple[Any, int, int]) -> writing.WriteShareGroupStateResponse:
    return writing.WriteShareGroupStateResponse(
        results=[
            writing.WriteStateResult(topic_id, [writing.PartitionResult(partition, code)])
            for topic_id, partition, code in codes
        ]
    )


def test_partitions_of_a_group_go_together() -> None:
    queue = ShareStateQueue()
    pendings = [write(queue, TOPIC, 0), write(queue, OTHER, 0), write(queue, TOPIC, 1)]
    request, message = only(queue)
    assert (request.api_key, message.group_id) == (ApiKey.WRITE_SHARE_GROUP_STATE, "g")
    assert rows(message) == [(TOPIC, [0, 1]), (OTHER, [0])]
    request.on_response(written((OTHER, 0, E.FENCED_STATE_EPOCH), (TOPIC, 1, 0), (TOPIC, 0, E.FENCED_LEADER_EPOCH)))
    answers = [pending.result() for pending in pendings]
    assert [each.row.error_code for each in answers] == [E.FENCED_LEADER_EPOCH, E.FENCED_STATE_EPOCH, 0]
    assert answers[0].result is writing.WriteStateResult


def test_groups_apis_and_the_same_partition_go_one_after_the_other() -> None:
    queue = ShareStateQueue()
    write(queue, TOPIC, 0)
    write(queue, TOPIC, 0, start=5)
    write(queue, TOPIC, 0, group="h")
    read(queue, TOPIC, 0)
    sent = []
    for _ in range(4):
        request, message = only(queue)
        sent.append((request.api_key, message.group_id, rows(message)))
        request.on_failure(KafkaError(E.NETWORK_EXCEPTION))
    assert sent == [
        (ApiKey.WRITE_SHARE_GROUP_STATE, "g", [(TOPIC, [0])]),
        (ApiKey.WRITE_SHARE_GROUP_STATE, "g", [(TOPIC, [0])]),
        (ApiKey.WRITE_SHARE_GROUP_STATE, "h", [(TOPIC, [0])]),
        (ApiKey.READ_SHARE_GROUP_STATE, "g", [(TOPIC, [0])]),
    ]
    assert queue.next_requests() == []


def test_without_an_answer() -> None:
    queue = ShareStateQueue()
    pending = write(queue, TOPIC, 0)
    only(queue)[0].on_response(written((TOPIC, 1, 0)))
    lost = write(queue, TOPIC, 0)
    only(queue)[0].on_failure(KafkaError(E.NETWORK_EXCEPTION))
    for each, code in ((pending, E.UNKNOWN_SERVER_ERROR), (lost, E.NETWORK_EXCEPTION)):
        with pytest.raises(KafkaError) as caught:
            each.result()
        assert caught.value.code == code
