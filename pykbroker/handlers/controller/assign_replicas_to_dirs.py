"""AssignReplicasToDirs (73): a broker tells in which log directories its replicas lie (KIP-858)."""

from pykbroker.controller.controller import Controller
from pykbroker.controller.directory_control import assign_replicas
from pykbroker.controller.result import ControllerResult
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.messages.assign_replicas_to_dirs import (
    AssignReplicasToDirsRequest,
    AssignReplicasToDirsResponse,
    AssignReplicasToDirsResponseDirectoryData,
    AssignReplicasToDirsResponsePartitionData,
    AssignReplicasToDirsResponseTopicData,
)
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: AssignReplicasToDirsRequest
) -> AssignReplicasToDirsResponse:
    wanted = [
        (directory.id, topic.topic_id, partition.partition_index)
        for directory in request.directories
        for topic in directory.topics
        for partition in topic.partitions
    ]

    def decide(image: MetadataImage) -> ControllerResult[list[int]]:
        return assign_replicas(image, controller.config, request.broker_id, request.broker_epoch, wanted)

    answered = await controller.execute(decide)
    codes = iter(answered)
    return AssignReplicasToDirsResponse(
        directories=[
            AssignReplicasToDirsResponseDirectoryData(
                id=directory.id,
                topics=[
                    AssignReplicasToDirsResponseTopicData(
                        topic.topic_id,
                        [
                            AssignReplicasToDirsResponsePartitionData(each.partition_index, next(codes))
                            for each in topic.partitions
                        ],
                    )
                    for topic in directory.topics
                ],
            )
            for directory in request.directories
        ]
    )
