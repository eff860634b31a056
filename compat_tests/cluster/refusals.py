"""Requests that a controller refuses, each for another reason, to be sent to its brokers, which forward them."""

from pykbroker.ids import Uuid
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages import alter_configs, incremental_alter_configs
from pykbroker.protocol.messages.add_raft_voter import AddRaftVoterRequest, Listener
from pykbroker.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from pykbroker.protocol.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from pykbroker.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from pykbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pykbroker.protocol.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from pykbroker.protocol.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from pykbroker.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from pykbroker.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest
from pykbroker.protocol.messages.unregister_broker import UnregisterBrokerRequest
from pykbroker.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest

TOPIC = "asked"  # two partitions on the brokers 1 and 2
SOME = Uuid(range(16))
MILLISECONDS = 30_000
TOPIC_RESOURCE, BROKER_RESOURCE = 2, 4
SET, APPEND = 0, 2


def creating(
    name: str, partitions: int = 1, factor: int = 1, replicas: tuple[list[int], ...] = (), **configs: str
) -> CreateTopicsRequest:
    topic = CreatableTopic(
        name=name,
        num_partitions=-1 if replicas else partitions,
        replication_factor=-1 if replicas else factor,
        assignments=[CreatableReplicaAssignment(partition_index=n, broker_ids=ids) for n, ids in enumerate(replicas)],
        configs=[CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()],
    )
    return CreateTopicsRequest(topics=[topic], timeout_ms=MILLISECONDS)


def more_partitions(name: str, count: int, *replicas: list[int]) -> CreatePartitionsRequest:
    given = [CreatePartitionsAssignment(broker_ids=ids) for ids in replicas] or None
    topic = CreatePartitionsTopic(name=name, count=count, assignments=given)
    return CreatePartitionsRequest(topics=[topic], timeout_ms=MILLISECONDS)


def deleting(**named: object) -> DeleteTopicsRequest:
    return DeleteTopicsRequest(topics=[DeleteTopicState(**named)], timeout_ms=MILLISECONDS)


def altering(kind: int, resource: str, name: str, value: str | None, operation: int = SET) -> Message:
    config = incremental_alter_configs.AlterableConfig(name=name, config_operation=operation, value=value)
    row = incremental_alter_configs.AlterConfigsResource(resource_type=kind, resource_name=resource, configs=[config])
    return incremental_alter_configs.IncrementalAlterConfigsRequest(resources=[row])


def replacing(kind: int, resource: str, name: str, value: str | None) -> Message:
    config = alter_configs.AlterableConfig(name=name, value=value)
    row = alter_configs.AlterConfigsResource(resource_type=kind, resource_name=resource, configs=[config])
    return alter_configs.AlterConfigsRequest(resources=[row])


def reassigning(topic: str, partition: int, replicas: list[int] | None) -> AlterPartitionReassignmentsRequest:
    row = ReassignablePartition(partition_index=partition, replicas=replicas)
    return AlterPartitionReassignmentsRequest(topics=[ReassignableTopic(topic, [row])], timeout_ms=MILLISECONDS)


def electing(kind: int, topic: str, *partitions: int) -> ElectLeadersRequest:
    rows = [TopicPartitions(topic=topic, partitions=list(partitions))]
    return ElectLeadersRequest(election_type=kind, topic_partitions=rows, timeout_ms=MILLISECONDS)


def updating(feature: str, level: int, kind: int = 1) -> UpdateFeaturesRequest:
    update = FeatureUpdateKey(feature=feature, max_version_level=level, upgrade_type=kind)
    return UpdateFeaturesRequest(feature_updates=[update], timeout_ms=MILLISECONDS)


# With the version in which each is sent.
REFUSED: tuple[tuple[Message, int], ...] = (
    (creating(TOPIC), 7),
    (creating("bad name"), 7),
    (creating("a" * 250), 5),
    (creating("new", partitions=0), 7),
    (creating("new", factor=3), 7),
    (creating("new", replicas=([1], [7])), 7),
    (creating("new", replicas=([1], [1, 2])), 7),
    (creating("new", replicas=([1, 1],)), 7),
    (creating("new", replicas=([],)), 7),
    (creating("new", retention_ms="never"), 7),
    (creating("new", no_such="1"), 4),
    (more_partitions(TOPIC, 2), 3),
    (more_partitions(TOPIC, 1), 3),
    (more_partitions("nope", 3), 3),
    (more_partitions(TOPIC, 3, [1, 7]), 3),
    (more_partitions(TOPIC, 4, [1, 2]), 2),
    (deleting(name="nope"), 6),
    (deleting(name=None, topic_id=SOME), 6),
    (altering(TOPIC_RESOURCE, "nope", "retention.ms", "1"), 1),
    (altering(TOPIC_RESOURCE, TOPIC, "retention.ms", "never"), 1),
    (altering(TOPIC_RESOURCE, TOPIC, "no.such", "1"), 1),
    (altering(TOPIC_RESOURCE, TOPIC, "retention.ms", "1", APPEND), 1),
    (altering(TOPIC_RESOURCE, TOPIC, "retention.ms", None), 1),
    (altering(BROKER_RESOURCE, "", "log.cleaner.threads", "many"), 1),
    (altering(BROKER_RESOURCE, "x", "log.cleaner.threads", "1"), 1),
    (altering(9, TOPIC, "retention.ms", "1"), 1),
    (replacing(TOPIC_RESOURCE, "nope", "retention.ms", "1"), 2),
    (replacing(TOPIC_RESOURCE, TOPIC, "retention.ms", "never"), 2),
    (replacing(TOPIC_RESOURCE, TOPIC, "no.such", "1"), 2),
    (reassigning("nope", 0, [1]), 1),
    (reassigning(TOPIC, 9, [1]), 1),
    (reassigning(TOPIC, 0, [7]), 1),
    (reassigning(TOPIC, 0, [1, 1]), 1),
    (reassigning(TOPIC, 0, []), 1),
    (reassigning(TOPIC, 0, None), 0),
    (electing(0, TOPIC, 0, 1, 9), 2),
    (electing(1, TOPIC, 0), 2),
    (electing(0, "nope", 0), 2),
    (electing(7, TOPIC, 0), 2),
    (UnregisterBrokerRequest(broker_id=7), 0),
    (updating("nope", 1), 2),
    (updating("group.version", 9), 1),
    (updating("metadata.version", 7, 2), 2),
    (updating("group.version", 0, 9), 2),
    (ListPartitionReassignmentsRequest(topics=[ListPartitionReassignmentsTopics("nope", [0])]), 0),
    (DescribeQuorumRequest(topics=[TopicData("nope", [PartitionData(0)])]), 2),
    (
        AddRaftVoterRequest(
            cluster_id=None,
            timeout_ms=1000,
            voter_id=7,
            voter_directory_id=Uuid(bytes(16)),
            listeners=[Listener(name="CONTROLLER", host="localhost", port=9)],
        ),
        1,
    ),
    (RemoveRaftVoterRequest(cluster_id=None, voter_id=7, voter_directory_id=SOME), 0),
)
