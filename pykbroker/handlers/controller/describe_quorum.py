"""DescribeQuorum (55): leader, voters and observers of the metadata log (KIP-595, KIP-836, KIP-853)."""

from pykbroker.controller.controller import Controller, QuorumStatus
from pykbroker.metadata.topic_names import CLUSTER_METADATA_TOPIC
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    DescribeQuorumResponsePartitionData,
    DescribeQuorumResponseTopicData,
    Listener,
    Node,
    ReplicaState,
)
from pykbroker.raft.leader_state import Observer
from pykbroker.request import RequestContext

UNKNOWN_PARTITION = "This server does not host this topic-partition."


async def handle(controller: Controller, ctx: RequestContext, request: DescribeQuorumRequest) -> DescribeQuorumResponse:
    asked = [(topic.topic_name, [each.partition_index for each in topic.partitions]) for topic in request.topics]
    if asked != [(CLUSTER_METADATA_TOPIC, [0])]:
        return _unknown(asked)
    quorum, now_ms = controller.quorum, controller.clock.wall_ms()
    partition = _partition(quorum, now_ms)
    partition.observers = [_observer(each) for each in controller.leader_state.observers(now_ms)]
    topic = DescribeQuorumResponseTopicData(topic_name=CLUSTER_METADATA_TOPIC, partitions=[partition])
    return DescribeQuorumResponse(topics=[topic], nodes=[_node(quorum)] if ctx.api_version >= 2 else [])


def _node(quorum: QuorumStatus) -> Node:
    listeners = [Listener(name=each.listener, host=each.host, port=each.port) for each in quorum.endpoints]
    return Node(node_id=quorum.leader_id, listeners=listeners)


def _partition(quorum: QuorumStatus, now_ms: int) -> DescribeQuorumResponsePartitionData:
    # A leader has always fetched from itself just now.
    voter = ReplicaState(
        replica_id=quorum.leader_id,
        replica_directory_id=quorum.directory_id,
        log_end_offset=quorum.log_end_offset,
        last_fetch_timestamp=now_ms,
        last_caught_up_timestamp=now_ms,
    )
    return DescribeQuorumResponsePartitionData(
        leader_id=quorum.leader_id,
        leader_epoch=quorum.leader_epoch,
        high_watermark=quorum.high_watermark,
        current_voters=[voter],
    )


def _observer(observer: Observer) -> ReplicaState:
    return ReplicaState(
        replica_id=observer.id,
        replica_directory_id=observer.directory_id,
        log_end_offset=observer.end_offset,
        last_fetch_timestamp=observer.last_fetch_ms,
        last_caught_up_timestamp=observer.last_caught_up_ms,
    )


def _unknown(asked: list[tuple[str, list[int]]]) -> DescribeQuorumResponse:
    """There is but one partition to ask for."""
    return DescribeQuorumResponse(
        topics=[
            DescribeQuorumResponseTopicData(
                topic_name=topic,
                partitions=[
                    DescribeQuorumResponsePartitionData(
                        partition_index=partition,
                        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                        error_message=UNKNOWN_PARTITION,
                    )
                    for partition in partitions
                ],
            )
            for topic, partitions in asked
        ]
    )
