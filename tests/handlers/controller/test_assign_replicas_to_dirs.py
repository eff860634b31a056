"""AssignReplicasToDirs, which brokers send to their controller; no client may."""

import trio

from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.assign_replicas_to_dirs import (
    AssignReplicasToDirsRequest,
    AssignReplicasToDirsResponse,
    DirectoryData,
    PartitionData,
    TopicData,
)
from tests.controller.stand import ClusterStand
from tests.handlers.cluster_asker import ClusterAsker


def test_rows_as_they_were_asked(cluster_stand: ClusterStand, cluster: ClusterAsker) -> None:
    topic = cluster.create(partitions=3)
    (directory,) = cluster_stand.logs.directory_ids
    request = AssignReplicasToDirsRequest(
        broker_id=1,
        broker_epoch=cluster_stand.image.brokers[1].epoch,
        directories=[
            DirectoryData(
                directory,
                [
                    TopicData(topic.id, [PartitionData(2), PartitionData(7), PartitionData(0)]),
                    TopicData(ZERO_UUID, [PartitionData(0)]),
                ],
            )
        ],
    )
    response = trio.run(cluster_stand.controller.call, ApiKey.ASSIGN_REPLICAS_TO_DIRS, request)
    assert isinstance(response, AssignReplicasToDirsResponse)
    (row,) = response.directories
    assert (response.error_code, row.id) == (0, directory)
    assert [
        (each.topic_id, [(partition.partition_index, partition.error_code) for partition in each.partitions])
        for each in row.topics
    ] == [
        (topic.id, [(2, 0), (7, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), (0, 0)]),
        (ZERO_UUID, [(0, ErrorCode.UNKNOWN_TOPIC_ID)]),
    ]
