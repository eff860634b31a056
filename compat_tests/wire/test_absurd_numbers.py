"""Epochs, generations, timeouts and producer ids as far from sense as their types allow: Kafka's error for each."""

from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.wire.conftest import SocketAsker
from compat_tests.wire.test_commits_of_members import classic, consumer, share, streams
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest
from pykbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from pykbroker.protocol.messages.streams_group_heartbeat import StreamsGroupHeartbeatRequest, Subtopology, Topology
from pykbroker.protocol.messages.sync_group import SyncGroupRequest
from tests.handlers.broker.asker import Topic
from tests.handlers.broker.test_txn_offset_commit import new_group
from tests.handlers.cluster_asker import unique
from tests.handlers.transaction_dialogue import LATER, begun

LOW, HIGH = -(2**31), 2**31 - 1
LOW64, HIGH64 = -(2**63), 2**63 - 1
LOW16, HIGH16 = -(2**15), 2**15 - 1


@pytest.fixture
def group(asker: SocketAsker) -> str:
    return new_group(asker)


@pytest.fixture
def topic(asker: SocketAsker) -> Topic:
    return asker.create(1)


def as_consumer(group: str, epoch: int, **fields: Any) -> tuple[Any, int]:
    about = {"rebalance_timeout_ms": 1000, "subscribed_topic_names": ["x"], "topic_partitions": [], **fields}
    return ConsumerGroupHeartbeatRequest(group_id=group, member_id="member", member_epoch=epoch, **about), 1


def as_share(group: str, epoch: int, **fields: Any) -> tuple[Any, int]:
    about = {"subscribed_topic_names": ["x"], **fields}
    return ShareGroupHeartbeatRequest(group_id=group, member_id="member", member_epoch=epoch, **about), 1


def as_streams(group: str, epoch: int, topology: int = 0, **fields: Any) -> tuple[Any, int]:
    about = {
        "rebalance_timeout_ms": 1000,
        "topology": Topology(epoch=topology, subtopologies=[Subtopology(subtopology_id="0", source_topics=["x"])]),
        "process_id": "process",
        "client_tags": [],
        "active_tasks": [],
        "standby_tasks": [],
        "warmup_tasks": [],
        **fields,
    }
    return StreamsGroupHeartbeatRequest(group_id=group, member_id="member", member_epoch=epoch, **about), 0


@pytest.mark.parametrize("epoch", [LOW, -3, -2, -1, 1, HIGH])
def test_epochs_of_a_group_that_is_not_there(asker: SocketAsker, group: str, epoch: int) -> None:
    code = E.GROUP_ID_NOT_FOUND if epoch >= -1 else E.INVALID_REQUEST
    assert asker.ask(*as_consumer(group, epoch)).error_code == code
    assert asker.ask(*as_share(group, epoch)).error_code == code
    assert asker.ask(*as_streams(group, epoch)).error_code == E.INVALID_REQUEST  # only who joins tells its topology


@pytest.mark.parametrize("epoch", [LOW, -3, HIGH])
@pytest.mark.parametrize(
    ("kind", "request_class", "version"),
    [
        (consumer, ConsumerGroupHeartbeatRequest, 1),
        (share, ShareGroupHeartbeatRequest, 1),
        (streams, StreamsGroupHeartbeatRequest, 0),
    ],
)
def test_epochs_of_a_member(
    asker: SocketAsker,
    group: str,
    topic: Topic,
    kind: Callable[..., Any],
    request_class: Callable[..., Any],
    version: int,
    epoch: int,
) -> None:
    member = kind(asker, group, topic)
    code = E.FENCED_MEMBER_EPOCH if epoch > 0 else E.INVALID_REQUEST
    request = request_class(group_id=group, member_id=member.id, member_epoch=epoch)
    assert asker.ask(request, version).error_code == code


@pytest.mark.parametrize("generation", [LOW, -1, 0, HIGH])
def test_generations_of_a_classic_member(asker: SocketAsker, group: str, topic: Topic, generation: int) -> None:
    member = classic(asker, group, topic)
    beat = HeartbeatRequest(group_id=group, generation_id=generation, member_id=member.id)
    assert asker.ask(beat, 4).error_code == E.ILLEGAL_GENERATION
    sync = SyncGroupRequest(
        group_id=group,
        generation_id=generation,
        member_id=member.id,
        protocol_type="consumer",
        protocol_name="range",
    )
    assert asker.ask(sync, 5).error_code == E.ILLEGAL_GENERATION


@pytest.mark.parametrize("timeout", [LOW, -1, 0, 1, HIGH])
def test_timeouts(asker: SocketAsker, timeout: int) -> None:
    """-1 says nothing about it, which who joins must."""
    code = E.INVALID_REQUEST if timeout == -1 else E.NONE
    for heartbeat in (as_consumer, as_streams):
        assert asker.ask(*heartbeat(new_group(asker), 0, rebalance_timeout_ms=timeout)).error_code == code
    protocols = [JoinGroupRequestProtocol(name="range", metadata=b"")]
    for field, answer in (
        ("session_timeout_ms", E.INVALID_SESSION_TIMEOUT),
        ("rebalance_timeout_ms", E.MEMBER_ID_REQUIRED),
    ):
        timeouts: dict[str, Any] = {"session_timeout_ms": 10_000, "rebalance_timeout_ms": 10_000, field: timeout}
        group = new_group(asker)
        join = JoinGroupRequest(group_id=group, protocol_type="consumer", protocols=protocols, **timeouts)
        assert asker.ask(join, 9).error_code == answer, field


@pytest.mark.parametrize("epoch", [LOW, -1, 0, HIGH])
def test_epochs_of_a_topology(asker: SocketAsker, group: str, epoch: int) -> None:
    code = E.NONE if epoch >= 0 else E.UNKNOWN_SERVER_ERROR
    assert asker.ask(*as_streams(group, 0, topology=epoch)).error_code == code


@pytest.mark.parametrize(
    ("row", "fields", "version", "code"),
    [
        *(({"committed_offset": offset}, {}, 8, E.NONE) for offset in (LOW64, -2, -1, HIGH64)),
        *(({"committed_leader_epoch": epoch}, {}, 8, E.NONE) for epoch in (LOW, -2, HIGH)),
        *(({"partition_index": index}, {}, 8, E.UNKNOWN_TOPIC_OR_PARTITION) for index in (LOW, -1, 1, HIGH)),
        *(({}, {"retention_time_ms": time}, 3, E.NONE) for time in (LOW64, -2, 0, HIGH64)),
        *(({}, {"generation_id_or_member_epoch": epoch}, 9, E.NONE) for epoch in (LOW, -2)),
        *(({}, {"generation_id_or_member_epoch": epoch}, 8, E.ILLEGAL_GENERATION) for epoch in (0, HIGH)),
        *(({}, {"generation_id_or_member_epoch": epoch}, 9, E.GROUP_ID_NOT_FOUND) for epoch in (0, HIGH)),
    ],
)
def test_commits(
    asker: SocketAsker, group: str, topic: Topic, row: dict[str, Any], fields: dict[str, Any], version: int, code: E
) -> None:
    partition = OffsetCommitRequestPartition(**{"partition_index": 0, "committed_offset": 1, **row})
    topics = [OffsetCommitRequestTopic(name=topic.name, partitions=[partition])]
    request = OffsetCommitRequest(group_id=group, member_id="member", topics=topics, **fields)
    assert asker.ask(request, version).topics[0].partitions[0].error_code == code


@pytest.mark.parametrize("epoch", [LOW16, -2, -1, 0, HIGH16])
@pytest.mark.parametrize("producer_id", [LOW64, -2, -1, 0, HIGH64])
def test_who_one_may_say_to_be(asker: SocketAsker, producer_id: int, epoch: int) -> None:
    """Nobody knows its transactional id, so whoever it says to be is forgotten. -1 alone is half an identity."""
    known = begun(asker)
    request = InitProducerIdRequest(
        transactional_id=unique("tx"), transaction_timeout_ms=1000, producer_id=producer_id, producer_epoch=epoch
    )
    is_half = (producer_id == -1) != (epoch == -1)
    assert asker.ask(request, 5).error_code == (E.INVALID_REQUEST if is_half else E.NONE)
    identity = (producer_id, epoch)
    if is_half:
        request.transactional_id = known.id
        assert asker.ask(request, 5).error_code == E.INVALID_REQUEST
    elif identity != (-1, -1):
        assert known.try_init(expected=identity) == E.PRODUCER_FENCED


@pytest.mark.parametrize("epoch", [LOW16, -1, HIGH16])
def test_who_one_may_not_be(asker: SocketAsker, group: str, topic: Topic, epoch: int) -> None:
    producer = begun(asker)
    own = producer.identity[0]
    for producer_id in (LOW64, -1, HIGH64, own):
        identity = (producer_id, epoch)
        code = E.PRODUCER_FENCED if producer_id == own else E.INVALID_PRODUCER_ID_MAPPING
        assert producer.try_end(commit=True, version=4, identity=identity) == code
        assert producer.try_add(topic, identity=identity) == code
        assert producer.try_add_offsets(group, identity=identity) == code
        code = E.INVALID_PRODUCER_EPOCH if producer_id == own else code
        for version in (3, 5):
            assert producer.commit_offset(group, topic, 1, version=version, identity=identity) == code
        assert code not in LATER
