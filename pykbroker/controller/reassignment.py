"""Other replicas for a partition: begun, cancelled, listed (KIP-455, KIP-860).

A reassignment goes on by itself: leader_election completes it with the change that brings the last replica in sync.
Kafka: ReplicationControlManager, PartitionReassignmentReplicas, PartitionReassignmentRevert.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.controller.election_rules import allows_unclean, may_lead, rules_of
from pykbroker.controller.leader_election import ONLINE, Assignment, partition_change
from pykbroker.controller.new_partitions import check_replicas, default_directory
from pykbroker.controller.result import ControllerResult
from pykbroker.controller.topic_control import check_size
from pykbroker.errors import KafkaError
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topics import PartitionImage, TopicImage
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord


class Wanted(NamedTuple):
    """`replicas` None: the reassignment that goes on is cancelled."""

    topic: str
    partition: int
    replicas: Sequence[int] | None


class Ongoing(NamedTuple):
    partition: int
    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]


class Revert(NamedTuple):
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    is_unclean: bool


Errors = list[KafkaError | None]


def alter_reassignments(
    image: MetadataImage, config: "BrokerConfig", wanted: Iterable[Wanted], *, may_change_factor: bool
) -> ControllerResult[Errors]:
    """The error of each of `wanted`, None where it is on its way. Raises KafkaError for more than one batch holds."""
    records: list[Message] = []
    errors: Errors = []
    for each in wanted:
        try:
            record = _change(image, config, each, may_change_factor=may_change_factor)
            errors.append(None)
        except KafkaError as error:
            errors.append(error)
            continue
        if record is not None:
            records.append(record)
    check_size(len(records))
    return ControllerResult(records, errors)


def ongoing(
    image: MetadataImage, topics: Iterable[tuple[str, Iterable[int]]] | None
) -> list[tuple[str, list[Ongoing]]]:
    """The reassignments that go on, by topic, of the partitions that are asked for; None: of all."""
    if topics is None:
        topics = [(topic.name, topic.partitions) for topic in image.topics]
    rows = [(name, [row for index in indexes for row in _ongoing(image, name, index)]) for name, indexes in topics]
    return [(name, found) for name, found in rows if found]


def _ongoing(image: MetadataImage, topic: str, index: int) -> list[Ongoing]:
    partition = image.topics.partition(topic, index)
    if partition is None or not partition.is_reassigning:
        return []
    return [Ongoing(index, partition.replicas, partition.adding_replicas, partition.removing_replicas)]


def _change(
    image: MetadataImage, config: "BrokerConfig", wanted: Wanted, *, may_change_factor: bool
) -> "PartitionChangeRecord | None":
    topic = image.topics.get(wanted.topic)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find a topic named {wanted.topic}.")
    partition = topic.partitions.get(wanted.partition)
    if partition is None:
        raise KafkaError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find partition {wanted.topic}:{wanted.partition}."
        )
    if wanted.replicas is None:
        return _cancel(image, config, topic, wanted.partition, partition)
    check_replicas(image, wanted.replicas, None)
    if not may_change_factor:
        _check_factor(partition, wanted.replicas)
    return partition_change(
        partition,
        topic.id,
        wanted.partition,
        isr=partition.isr,
        is_acceptable=may_lead(image, partition),
        # Whatever the topic allows, nobody is elected uncleanly because replicas move.
        rules=rules_of(image, config, topic, ONLINE),
        assignment=target(partition, wanted.replicas),
        directory_of=partial(default_directory, image),
    )


def target(partition: PartitionImage, replicas: Sequence[int]) -> Assignment:
    """What the partition has from now on: the replicas that are wanted first, those that go last.

    The rest of a reassignment that goes on already is forgotten unless it says otherwise.
    """
    removing = tuple(sorted(set(partition.replicas) - set(replicas)))
    adding = tuple(sorted(set(replicas) - set(partition.replicas)))
    return Assignment(
        (*replicas, *removing),
        removing or partition.removing_replicas,
        adding or partition.adding_replicas,
    )


def _check_factor(partition: PartitionImage, replicas: Sequence[int]) -> None:
    """Without the replicas that go, and with those that come, the number must stay as it is (KIP-860)."""
    factor = len(partition.replicas)
    if partition.is_reassigning:
        present = {*partition.replicas, *partition.adding_replicas}
        factor = len(present - set(partition.removing_replicas))
    if factor != len(replicas):
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR, f"The replication factor is changed from {factor} to {len(replicas)}"
        )


def _cancel(
    image: MetadataImage, config: "BrokerConfig", topic: TopicImage, index: int, partition: PartitionImage
) -> "PartitionChangeRecord | None":
    if not partition.is_reassigning:
        raise KafkaError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    back = revert(partition)
    if back.is_unclean and not allows_unclean(image, config, topic.name):
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"Unable to revert partition assignment for {topic.name}:{index} because it would require an unclean "
            "leader election.",
        )
    return partition_change(
        partition,
        topic.id,
        index,
        isr=back.isr,
        is_acceptable=may_lead(image, partition),
        rules=rules_of(image, config, topic),
        assignment=Assignment(back.replicas),
        directory_of=partial(default_directory, image),
    )


def revert(partition: PartitionImage) -> Revert:
    """Without the replicas that were to come. Where they alone are in sync, the first of the others has to do.

    Raises KafkaError(INVALID_REPLICA_ASSIGNMENT) when there are no others.
    """
    adding = partition.adding_replicas
    replicas = tuple(replica for replica in partition.replicas if replica not in adding)
    isr = tuple(replica for replica in partition.isr if replica not in adding)
    if isr:
        return Revert(replicas, isr, False)
    if not replicas:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "Invalid replica assignment: addingReplicas contains all replicas.",
        )
    return Revert(replicas, replicas[:1], True)
