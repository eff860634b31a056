"""ISR changes that leaders ask for, and the reassignments which they complete (KIP-497, KIP-841, KIP-903).

Kafka: ReplicationControlManager.alterPartition.
"""

import logging
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.controller.cluster_control import check_broker_epoch
from pykbroker.controller.election_rules import may_lead, rules_of
from pykbroker.controller.leader_election import partition_change
from pykbroker.controller.new_partitions import default_directory
from pykbroker.controller.result import ControllerResult
from pykbroker.ids import Uuid
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.partition_change import NO_LEADER_CHANGE, merge
from pykbroker.metadata.topics import RECOVERED, RECOVERING, PartitionImage, TopicImage
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.message import Message

LOG = logging.getLogger(__name__)
# Instead of a broker epoch: not to be checked (AlterPartition before v3).
ANY_EPOCH = -1


class Wanted(NamedTuple):
    """`isr`: (broker id, broker epoch), as the leader knows them."""

    topic_id: Uuid
    partition: int
    leader_epoch: int
    partition_epoch: int
    isr: Sequence[tuple[int, int]]
    recovery_state: int = RECOVERED


class Altered(NamedTuple):
    """`state`: the partition as it is from now on; None with an error."""

    code: int
    state: PartitionImage | None = None


def alter_partitions(
    image: MetadataImage, config: "BrokerConfig", broker_id: int, broker_epoch: int, wanted: Iterable[Wanted]
) -> ControllerResult[list[Altered]]:
    """The outcome of each of `wanted`, in order. Raises KafkaError(STALE_BROKER_EPOCH)."""
    check_broker_epoch(image, broker_id, broker_epoch)
    records: list[Message] = []
    outcome = []
    for each in wanted:
        topic = image.topics.by_id(each.topic_id)
        code = _error(image, topic, each, broker_id)
        if code or topic is None:
            LOG.info("Node %d may not alter the ISR of %s: %s", broker_id, each, ErrorCode(code).name)
            outcome.append(Altered(code))
        else:
            outcome.append(_alter(image, config, topic, each, broker_id, records))
    return ControllerResult(records, outcome)


def _alter(
    image: MetadataImage,
    config: "BrokerConfig",
    topic: TopicImage,
    wanted: Wanted,
    broker_id: int,
    records: "list[Message]",
) -> Altered:
    partition = topic.partitions[wanted.partition]
    record = partition_change(
        partition,
        topic.id,
        wanted.partition,
        isr=[broker for broker, _ in wanted.isr],
        is_acceptable=may_lead(image, partition),
        rules=rules_of(image, config, topic),
        directory_of=partial(default_directory, image),
        recovery_state=wanted.recovery_state,
    )
    if record is None:
        return Altered(ErrorCode.NONE, partition)
    records.append(record)
    if record.leader not in (broker_id, NO_LEADER_CHANGE):
        # The change completes a reassignment that takes the leadership away: it must look at the metadata first.
        return Altered(ErrorCode.NEW_LEADER_ELECTED)
    return Altered(ErrorCode.NONE, merge(partition, record))


def _error(image: MetadataImage, topic: TopicImage | None, wanted: Wanted, broker_id: int) -> int:
    if topic is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    partition = topic.partitions.get(wanted.partition)
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if wanted.leader_epoch > partition.leader_epoch or wanted.partition_epoch > partition.partition_epoch:
        return ErrorCode.NOT_CONTROLLER  # it has heard of decisions that are not ours
    if wanted.leader_epoch < partition.leader_epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    if broker_id != partition.leader:
        return ErrorCode.INVALID_REQUEST
    if wanted.partition_epoch < partition.partition_epoch:
        return ErrorCode.INVALID_UPDATE_VERSION
    if not _is_possible(partition, wanted):
        return ErrorCode.INVALID_REQUEST
    if not all(_may_be_in_sync(image, broker, epoch) for broker, epoch in wanted.isr):
        return ErrorCode.INELIGIBLE_REPLICA
    return ErrorCode.NONE


def _is_possible(partition: PartitionImage, wanted: Wanted) -> bool:
    isr = [broker for broker, _ in wanted.isr]
    if len(set(isr)) < len(isr) or not set(isr) <= set(partition.replicas) or partition.leader not in isr:
        return False
    if wanted.recovery_state == RECOVERING:
        # Who recovers after an unclean election is alone, and who has recovered has.
        return len(isr) == 1 and partition.leader_recovery_state != RECOVERED
    return wanted.recovery_state == RECOVERED


def _may_be_in_sync(image: MetadataImage, broker_id: int, epoch: int) -> bool:
    broker = image.brokers.get(broker_id)
    return broker is not None and broker.is_active and epoch in (ANY_EPOCH, broker.epoch)
