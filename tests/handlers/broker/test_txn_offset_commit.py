"""TxnOffsetCommit and AddOffsetsToTxn, as the real Kafka 4.3.1 answers them. KIP-98, KIP-447, KIP-890."""

from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from tests.handlers.broker.asker import UNKNOWN_TOPIC, Asker, Topic
from tests.handlers.cluster_asker import eventually, unique
from tests.handlers.transaction_dialogue import LATER, TransactionalProducer, begun, find_coordinator

OLD = 4


def new_group(asker: Asker) -> str:
    group = unique("group")
    find_coordinator(asker, group, 0)
    everything = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=None)])
    eventually(lambda: asker.ask(everything, 8), lambda answer: answer.groups[0].error_code == 0)
    return group


def committed(asker: Asker, group: str, topic: Topic, require_stable: bool = False) -> tuple[int, int]:
    """(offset, error). Asks again while the coordinator loads, as clients do."""
    wanted = OffsetFetchRequestGroup(
        group_id=group, topics=[OffsetFetchRequestTopics(name=topic.name, partition_indexes=[0])]
    )
    request = OffsetFetchRequest(groups=[wanted], require_stable=require_stable)
    answer = eventually(lambda: asker.ask(request, 8).groups[0], lambda answer: answer.error_code not in LATER)
    assert answer.error_code == 0
    (row,) = answer.topics[0].partitions
    return row.committed_offset, row.error_code


def begin(producer: TransactionalProducer, group: str, version: int) -> None:
    """Old clients add the group before."""
    if version < 5:
        assert producer.add_offsets(group) == 0


@pytest.mark.parametrize("version", range(6))
def test_offsets_count_when_the_transaction_commits(coordinated: Asker, version: int) -> None:
    topic, group = coordinated.create(1), new_group(coordinated)
    producer = begun(coordinated)
    begin(producer, group, version)
    assert producer.commit_offset(group, topic, 7, version=version) == 0
    assert committed(coordinated, group, topic) == (-1, 0)
    assert committed(coordinated, group, topic, require_stable=True) == (-1, ErrorCode.UNSTABLE_OFFSET_COMMIT)
    assert producer.end(True, OLD if version < 5 else 5) == 0
    producer.at_rest()
    assert committed(coordinated, group, topic) == (7, 0)
    assert committed(coordinated, group, topic, require_stable=True) == (7, 0)


@pytest.mark.parametrize("version", [3, 5])
def test_they_do_not_when_it_aborts(coordinated: Asker, version: int) -> None:
    topic, group = coordinated.create(1), new_group(coordinated)
    producer = begun(coordinated)
    for offset, commit in ((3, True), (9, False)):
        begin(producer, group, version)
        assert producer.commit_offset(group, topic, offset, version=version) == 0
        assert producer.end(commit, OLD if version < 5 else 5) == 0
        producer.at_rest()
    assert committed(coordinated, group, topic, require_stable=True) == (3, 0)


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (2, ErrorCode.INVALID_TXN_STATE),
        (3, ErrorCode.INVALID_TXN_STATE),
        (4, ErrorCode.TRANSACTION_ABORTABLE),
    ],
)
def test_old_clients_must_add_the_group_before(coordinated: Asker, version: int, code: int) -> None:
    topic, group = coordinated.create(1), new_group(coordinated)
    producer = begun(coordinated)
    assert producer.commit_offset(group, topic, 1, version=version) == code
    assert committed(coordinated, group, topic, require_stable=True) == (-1, 0)


def test_the_group_is_in_the_transaction(coordinated: Asker) -> None:
    group = new_group(coordinated)
    producer = begun(coordinated)
    assert producer.add_offsets(group) == 0
    row = producer.described()
    assert row.transaction_state == "Ongoing"
    assert [item.topic for item in row.topics] == ["__consumer_offsets"]


@pytest.mark.parametrize("version", range(5))
def test_strangers_do_not_add_groups(coordinated: Asker, version: int) -> None:
    group = new_group(coordinated)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    fenced = ErrorCode.PRODUCER_FENCED if version >= 2 else ErrorCode.INVALID_PRODUCER_EPOCH
    assert producer.try_add_offsets(group, version, (producer_id, epoch + 1)) == fenced
    unknown = ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert producer.try_add_offsets(group, version, (producer_id + 1000, epoch)) == unknown
    producer.id = ""
    assert producer.try_add_offsets(group, version) == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize("version", [3, 4, 5])
def test_strangers_do_not_commit(coordinated: Asker, version: int) -> None:
    topic, group = coordinated.create(1), new_group(coordinated)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    code = producer.commit_offset(group, topic, 1, version=version, identity=(producer_id, epoch + 1))
    assert code == ErrorCode.INVALID_PRODUCER_EPOCH
    code = producer.commit_offset(group, topic, 1, version=version, identity=(producer_id + 1000, epoch))
    assert code == ErrorCode.INVALID_PRODUCER_ID_MAPPING


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ({"generation_id": 1, "member_id": "m"}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation_id": -1, "member_id": "m"}, 0),
        ({"generation_id": -1, "member_id": "m", "group_instance_id": "i"}, 0),
    ],
)
def test_a_group_that_does_not_exist(coordinated: Asker, member: dict[str, Any], code: int) -> None:
    topic, group = coordinated.create(1), new_group(coordinated)
    producer = begun(coordinated)
    assert producer.commit_offset(group, topic, 1, **member) == code


def test_topics_that_do_not_exist(coordinated: Asker) -> None:
    topic, group = coordinated.create(1), new_group(coordinated)
    producer = begun(coordinated)
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert producer.commit_offset(group, UNKNOWN_TOPIC, 1) == unknown
    assert producer.commit_offset(group, topic, 1, partition=5) == unknown
    assert producer.described().transaction_state == "Empty"


def test_too_much_metadata(coordinated: Asker) -> None:
    topic, group = coordinated.create(1), new_group(coordinated)
    producer = begun(coordinated)
    code = producer.commit_offset(group, topic, 1, metadata="x" * 4097)
    assert code == ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert committed(coordinated, group, topic, require_stable=True) == (-1, 0)


def test_a_group_without_name(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    new_group(coordinated)
    producer = begun(coordinated)
    assert producer.commit_offset("", topic, 1) == ErrorCode.INVALID_GROUP_ID
