"""One AlterPartition at a time, and what becomes of its rows."""

import pytest

from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.alter_partition import (
    AlterPartitionRequest,
    AlterPartitionResponse,
    AlterPartitionResponsePartitionData,
    AlterPartitionResponseTopicData,
)
from pykbroker.replica.alter_partition import AlterPartitionManager
from pykbroker.replica.partition import Partition
from tests.replica.stand import NODE_ID, Stand, partition_image

IMAGE = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID,))


def joining(stand: Stand, *topics: str) -> AlterPartitionManager:
    """Broker 2 has fetched all there is of each topic's partition."""
    stand.register(NODE_ID, 2, epoch=50)
    for topic in topics:
        stand.create(topic)
        stand.set_partition(topic, IMAGE)
    for topic in topics:
        stand.partition(topic).follower_fetched(2, 0, 0, 0, 50)
    assert stand.replicas.replication is not None
    return stand.replicas.replication.alterations


def ask(alterations: AlterPartitionManager, now: float = 0.0) -> AlterPartitionRequest:
    request = alterations.next_request(now)
    assert request is not None
    return request


def answer(*partitions: Partition, code: int = 0, **fields: int) -> AlterPartitionResponse:
    rows = []
    for partition in partitions:
        row = AlterPartitionResponsePartitionData(error_code=code, leader_id=NODE_ID, isr=[NODE_ID, 2], **fields)
        row.partition_epoch = fields.get("partition_epoch", 1)
        rows.append(AlterPartitionResponseTopicData(partition.topic_id, [row]))
    return AlterPartitionResponse(topics=rows)


def test_all_that_has_come_up_in_one_request(stand: Stand) -> None:
    alterations = joining(stand, "t", "u")
    request = ask(alterations)
    assert (request.broker_id, request.broker_epoch) == (NODE_ID, 50)
    assert [topic.topic_id for topic in request.topics] == [stand.partition(name).topic_id for name in ("t", "u")]
    row = request.topics[0].partitions[0]
    assert [(member.broker_id, member.broker_epoch) for member in row.new_isr_with_epochs] == [(NODE_ID, 50), (2, 50)]
    assert (row.leader_epoch, row.partition_epoch, row.leader_recovery_state) == (0, 0, 0)
    assert alterations.next_request(0.0) is None, "one at a time"
    alterations.on_response(answer(stand.partition("t"), stand.partition("u")), 0.0)
    assert [stand.partition(name).isr for name in ("t", "u")] == [(NODE_ID, 2)] * 2
    assert alterations.next_request(0.0) is None


def test_the_answer_is_ahead_of_the_metadata(stand: Stand) -> None:
    alterations = joining(stand, "t")
    ask(alterations)
    alterations.on_response(answer(stand.partition("t"), partition_epoch=7), 0.0)
    assert stand.partition("t").partition_epoch == 7
    stand.set_partition("t", IMAGE._replace(partition_epoch=6))
    assert stand.partition("t").isr == (NODE_ID, 2), "what the metadata says later is older"
    stand.set_partition("t", IMAGE._replace(partition_epoch=8))
    assert stand.partition("t").isr == (NODE_ID,)


@pytest.mark.parametrize("code", [E.INELIGIBLE_REPLICA, E.OPERATION_NOT_ATTEMPTED])
def test_refused_for_sure(stand: Stand, code: int) -> None:
    alterations = joining(stand, "t")
    ask(alterations)
    alterations.on_response(answer(stand.partition("t"), code=code), 0.0)
    in_sync = stand.partition("t").in_sync
    assert in_sync is not None
    assert in_sync.state.maximal_isr == (NODE_ID,)
    stand.partition("t").follower_fetched(2, 0, 0, 0, 50)
    assert ask(alterations).topics


@pytest.mark.parametrize(
    "code",
    [
        E.UNKNOWN_TOPIC_OR_PARTITION,
        E.UNKNOWN_TOPIC_ID,
        E.FENCED_LEADER_EPOCH,
        E.INVALID_UPDATE_VERSION,
        E.INVALID_REQUEST,
        E.NEW_LEADER_ELECTED,
    ],
)
def test_the_metadata_knows_more(stand: Stand, code: int) -> None:
    """Until it comes the change stays pending: whether it was done is not known."""
    alterations = joining(stand, "t")
    ask(alterations)
    alterations.on_response(answer(stand.partition("t"), code=code), 0.0)
    in_sync = stand.partition("t").in_sync
    assert in_sync is not None
    assert in_sync.state.maximal_isr == (NODE_ID, 2)
    stand.partition("t").follower_fetched(2, 0, 0, 0, 50)
    assert alterations.next_request(9.0) is None
    stand.set_partition("t", IMAGE._replace(partition_epoch=1))
    stand.partition("t").follower_fetched(2, 0, 0, 0, 50)
    assert ask(alterations).topics[0].partitions[0].partition_epoch == 1


@pytest.mark.parametrize("code", [E.NOT_CONTROLLER, E.UNKNOWN_SERVER_ERROR])
def test_any_other_error_of_a_partition_is_asked_again(stand: Stand, code: int) -> None:
    alterations = joining(stand, "t")
    first = ask(alterations)
    alterations.on_response(answer(stand.partition("t"), code=code), 1.0)
    assert alterations.next_request(1.0) is None
    assert alterations.next_time() == pytest.approx(1.05)
    assert ask(alterations, 1.05) == first


def test_errors_of_the_whole_request_and_no_answer(stand: Stand) -> None:
    alterations = joining(stand, "t")
    first = ask(alterations)
    alterations.on_response(AlterPartitionResponse(error_code=E.STALE_BROKER_EPOCH), 1.0)
    assert alterations.next_request(1.0) is None
    assert ask(alterations, 1.1) == first
    alterations.on_failure("nobody there", 2.0)
    assert ask(alterations, 2.1) == first
    alterations.on_response(AlterPartitionResponse(), 3.0)
    assert ask(alterations, 3.1) == first, "a row that was forgotten"


def test_a_partition_that_is_led_elsewhere_by_then(stand: Stand) -> None:
    alterations = joining(stand, "t")
    ask(alterations)
    partition = stand.partition("t")
    stand.set_partition("t", IMAGE._replace(leader=2, leader_epoch=1, partition_epoch=1))
    alterations.on_response(answer(partition, code=E.UNKNOWN_SERVER_ERROR), 0.0)
    assert alterations.next_request(9.0) is None


def test_another_change_of_the_same_partition_meanwhile(stand: Stand) -> None:
    """Of an earlier leader epoch one is on its way still: the new one is dropped, and comes up again."""
    alterations = joining(stand, "t")
    ask(alterations)
    stand.set_partition("t", IMAGE._replace(partition_epoch=1))
    partition = stand.partition("t")
    partition.follower_fetched(2, 0, 0, 0, 50)
    assert partition.in_sync is not None
    assert partition.in_sync.state.maximal_isr == (NODE_ID,)
    alterations.on_response(answer(partition, code=E.INVALID_UPDATE_VERSION), 0.0)
    partition.follower_fetched(2, 0, 0, 0, 50)
    assert ask(alterations).topics[0].partitions[0].partition_epoch == 1
