"""AlterPartition (56): the leader of a partition changes its ISR (KIP-497, KIP-704, KIP-903)."""

from pykbroker.controller.alter_partition import ANY_EPOCH, Altered, Wanted, alter_partitions
from pykbroker.controller.controller import Controller
from pykbroker.controller.result import ControllerResult
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.messages.alter_partition import (
    AlterPartitionRequest,
    AlterPartitionResponse,
    AlterPartitionResponsePartitionData,
    AlterPartitionResponseTopicData,
    PartitionData,
)
from pykbroker.request import RequestContext


async def handle(controller: Controller, ctx: RequestContext, request: AlterPartitionRequest) -> AlterPartitionResponse:
    wanted = [
        Wanted(
            topic.topic_id,
            partition.partition_index,
            partition.leader_epoch,
            partition.partition_epoch,
            _isr(partition, ctx.api_version),
            partition.leader_recovery_state,
        )
        for topic in request.topics
        for partition in topic.partitions
    ]

    def decide(image: MetadataImage) -> ControllerResult[list[Altered]]:
        return alter_partitions(image, controller.config, request.broker_id, request.broker_epoch, wanted)

    outcome = await controller.execute(decide)
    answered = iter(outcome)
    return AlterPartitionResponse(
        topics=[
            AlterPartitionResponseTopicData(
                topic.topic_id, [_row(each.partition_index, next(answered)) for each in topic.partitions]
            )
            for topic in request.topics
        ]
    )


def _isr(partition: PartitionData, version: int) -> list[tuple[int, int]]:
    if version < 3:
        return [(broker, ANY_EPOCH) for broker in partition.new_isr]
    return [(broker.broker_id, broker.broker_epoch) for broker in partition.new_isr_with_epochs]


def _row(index: int, altered: Altered) -> AlterPartitionResponsePartitionData:
    state = altered.state
    if state is None:
        return AlterPartitionResponsePartitionData(index, altered.code)
    return AlterPartitionResponsePartitionData(
        partition_index=index,
        leader_id=state.leader,
        leader_epoch=state.leader_epoch,
        isr=list(state.isr),
        leader_recovery_state=state.leader_recovery_state,
        partition_epoch=state.partition_epoch,
    )
