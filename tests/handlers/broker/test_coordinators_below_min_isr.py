"""Coordinators whose topics have fewer replicas in sync than min.insync.replicas: clients hear what Kafka answers
(CoordinatorOperationExceptionHelper, TransactionStateManager), nothing has happened, and it goes on when it can."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.enums import AlterConfigOp, ConfigResourceType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from tests.controller.stand import ClusterStand
from tests.handlers.broker.asker import Topic
from tests.handlers.cluster_asker import ClusterAsker
from tests.handlers.share_state_dialogue import ShareState
from tests.handlers.transaction_dialogue import TransactionalProducer, find_coordinator

OFFSETS, TRANSACTIONS, SHARES = "__consumer_offsets", "__transaction_state", "__share_group_state"
NOT_AVAILABLE = ErrorCode.COORDINATOR_NOT_AVAILABLE
GROUP = "g"


class Coordinators(ClusterAsker):
    """Each internal topic has two replicas, of which one, on another broker, is not in sync."""

    SERVED = (
        *ClusterAsker.SERVED,
        ApiKey.OFFSET_COMMIT,
        ApiKey.OFFSET_DELETE,
        ApiKey.JOIN_GROUP,
        ApiKey.SYNC_GROUP,
        ApiKey.CONSUMER_GROUP_HEARTBEAT,
    )

    def __init__(self, stand: ClusterStand) -> None:
        super().__init__(stand)
        self.topic = self.create(1)
        stand.add_broker(2)
        for key, key_type in ((GROUP, 0), ("tx", 1)):
            self._make_topic(key, key_type)
        self._make_topic(f"{GROUP}:{self.topic.id}:0", 2)
        stand.heartbeat(2, want_fence=True)
        find_coordinator(self, GROUP, 0)
        self.require(1)

    def _make_topic(self, key: str, key_type: int) -> None:
        self.ask(FindCoordinatorRequest(coordinator_keys=[key], key_type=key_type), 6)

    async def _ask(self, frame: bytearray) -> bytes:
        """Meanwhile timers come that are due."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._step)
            answer = await super()._ask(frame)
            nursery.cancel_scope.cancel()
        return answer

    async def _step(self) -> None:
        while True:
            self.stand.groups.runtime.step()
            await trio.lowlevel.checkpoint()

    def require(self, replicas: int) -> None:
        """As min.insync.replicas of all three topics."""
        config = AlterableConfig("min.insync.replicas", int(AlterConfigOp.SET), str(replicas))
        resources = [
            AlterConfigsResource(int(ConfigResourceType.TOPIC), name, [config])
            for name in (OFFSETS, TRANSACTIONS, SHARES)
        ]
        answer = self.ask(IncrementalAlterConfigsRequest(resources=resources), 1)
        assert {row.error_code for row in answer.responses} == {0}

    def commit(self, offset: int) -> int:
        rows = [OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)]
        request = OffsetCommitRequest(
            group_id=GROUP, topics=[OffsetCommitRequestTopic(name=self.topic.name, partitions=rows)]
        )
        return int(self.ask(request, 9).topics[0].partitions[0].error_code)

    def committed(self) -> int:
        request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=GROUP, topics=None)])
        (group,) = self.ask(request, 9).groups
        assert group.error_code == 0
        return int(group.topics[0].partitions[0].committed_offset)

    def deletion(self) -> OffsetDeleteRequest:
        rows = [OffsetDeleteRequestPartition(0)]
        return OffsetDeleteRequest(group_id=GROUP, topics=[OffsetDeleteRequestTopic(self.topic.name, rows)])

    def join(self, member_id: str = "") -> Any:
        protocols = [JoinGroupRequestProtocol("range", b"")]
        return self.ask(
            JoinGroupRequest(
                group_id=GROUP,
                session_timeout_ms=10_000,
                rebalance_timeout_ms=10_000,
                member_id=member_id,
                protocol_type="consumer",
                protocols=protocols,
            ),
            9,
        )

    def sync(self, member_id: str, generation: int) -> Any:
        assignments = [SyncGroupRequestAssignment(member_id, b"mine")]
        request = SyncGroupRequest(
            group_id=GROUP, generation_id=generation, member_id=member_id, assignments=assignments
        )
        return self.ask(request, 3)

    def beat(self, group: str) -> Any:
        request = ConsumerGroupHeartbeatRequest(
            group_id=group,
            member_id="m",
            member_epoch=0,
            rebalance_timeout_ms=10_000,
            subscribed_topic_names=[self.topic.name],
            topic_partitions=[],
        )
        return self.ask(request, 1)


@pytest.fixture
def coordinators(tmp_path: Path) -> Iterator[Coordinators]:
    stand = ClusterStand(
        tmp_path,
        offsets_topic_num_partitions="1",
        offsets_topic_replication_factor="2",
        transaction_state_log_num_partitions="1",
        transaction_state_log_replication_factor="2",
        share_coordinator_state_topic_num_partitions="1",
        share_coordinator_state_topic_replication_factor="2",
        share_coordinator_state_topic_min_isr="1",
        transaction_state_log_min_isr="1",
        group_initial_rebalance_delay_ms="0",
    )
    yield Coordinators(stand)
    stand.close()


def test_offsets(coordinators: Coordinators) -> None:
    assert coordinators.commit(5) == 0
    coordinators.require(2)
    assert coordinators.commit(7) == NOT_AVAILABLE
    assert coordinators.committed() == 5
    assert coordinators.ask(coordinators.deletion(), 0).error_code == NOT_AVAILABLE
    assert coordinators.committed() == 5
    coordinators.require(1)
    assert coordinators.commit(7) == 0
    assert coordinators.committed() == 7


def test_members_of_classic_groups(coordinators: Coordinators) -> None:
    """Who could not be told what it gets joins again. A group that could not be noted is not there."""
    coordinators.require(2)
    first = coordinators.join()
    assert first.error_code == ErrorCode.MEMBER_ID_REQUIRED
    assert coordinators.join(first.member_id).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    coordinators.require(1)
    first = coordinators.join()
    assert first.error_code == ErrorCode.MEMBER_ID_REQUIRED
    coordinators.require(2)
    joined = coordinators.join(first.member_id)
    assert (joined.error_code, joined.generation_id) == (0, 1)
    assert coordinators.sync(first.member_id, 1).error_code == NOT_AVAILABLE
    coordinators.require(1)
    again = coordinators.join(first.member_id)
    assert again.error_code == 0
    synced = coordinators.sync(first.member_id, again.generation_id)
    assert (synced.error_code, synced.assignment) == (0, b"mine")


def test_members_of_consumer_groups(coordinators: Coordinators) -> None:
    coordinators.require(2)
    refused = coordinators.beat("modern")
    assert (refused.error_code, refused.error_message, refused.assignment) == (NOT_AVAILABLE, None, None)
    coordinators.require(1)
    assert coordinators.beat("modern").error_code == 0


def test_transactions(coordinators: Coordinators) -> None:
    producer = TransactionalProducer(coordinators, "tx")
    coordinators.require(2)
    assert producer.try_init() == NOT_AVAILABLE
    coordinators.require(1)
    assert producer.init() == 0
    coordinators.require(2)
    assert producer.try_add(coordinators.topic) == NOT_AVAILABLE
    coordinators.require(1)
    assert producer.add(coordinators.topic) == 0
    assert producer.produce(coordinators.topic).error_code == 0
    coordinators.require(2)
    assert producer.try_end(commit=True) == NOT_AVAILABLE
    assert producer.described().transaction_state == "Ongoing"
    coordinators.require(1)
    assert producer.end(commit=True) == 0
    assert producer.described().transaction_state == "CompleteCommit"


def test_the_end_of_a_transaction_that_cannot_be_noted_yet(
    coordinators: Coordinators, caplog: pytest.LogCaptureFixture
) -> None:
    """Its partition knows; that it does is written later, and the log says once why."""
    producer = TransactionalProducer(coordinators, "tx")
    assert producer.init() == producer.add(coordinators.topic) == 0
    markers = coordinators.stand.transactions.markers
    step = markers.step
    markers.step = lambda: None  # type: ignore[method-assign]  # until the topic is below its minimum
    assert producer.end(commit=True) == 0
    coordinators.require(2)
    with caplog.at_level("INFO"):
        for _ in range(3):
            step()
    assert [text for text in caplog.messages if "NOT_ENOUGH_REPLICAS" in text] == [
        "Transaction tx can't be completed yet: NOT_ENOUGH_REPLICAS: The size of the current ISR (1,) is insufficient "
        "to satisfy the min.isr requirement of 2 for partition __transaction_state-0"
    ]
    assert producer.described().transaction_state == "PrepareCommit"
    coordinators.require(1)
    step()
    assert producer.described().transaction_state == "CompleteCommit"
    assert len(markers) == 0


def test_states_of_share_groups(coordinators: Coordinators) -> None:
    topic = Topic(coordinators.topic.name, coordinators.topic.id)
    state = ShareState.__new__(ShareState)
    state.asker, state.topic, state.group = coordinators, topic, GROUP
    assert state.initialize(start_offset=3).error_code == 0
    coordinators.require(2)
    assert state.write((3, 4, 2, 1), start_offset=3).error_code == NOT_AVAILABLE
    assert state.read().start_offset == 3
    coordinators.require(1)
    assert state.write((3, 4, 2, 1), start_offset=3).error_code == 0
