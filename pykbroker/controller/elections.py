"""Elections that an operator asks for: back to the preferred leader, or any leader at all (KIP-460).

Kafka: ReplicationControlManager.electLeaders.
"""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.controller.election_rules import allows_unclean, may_lead, rules_of
from pykbroker.controller.leader_election import PREFERRED, UNCLEAN, partition_change
from pykbroker.controller.result import ControllerResult
from pykbroker.controller.topic_control import check_size
from pykbroker.errors import KafkaError
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topics import NO_LEADER, PartitionImage, TopicImage
from pykbroker.protocol.enums import ElectionType
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord

LOG = logging.getLogger(__name__)
NOT_NEEDED = "Leader election not needed for topic partition."
_NOT_AVAILABLE = {
    ElectionType.PREFERRED: (
        ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE,
        "The preferred leader was not available.",
    ),
    ElectionType.UNCLEAN: (
        ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE,
        "Eligible topic partition leaders are not available.",
    ),
}


class Elected(NamedTuple):
    """The outcome for one partition."""

    partition: int
    code: int = 0
    message: str | None = None


Wanted = Iterable[tuple[str, Iterable[int]]]
Outcome = list[tuple[str, list[Elected]]]


def elect_leaders(
    image: MetadataImage, config: "BrokerConfig", election: ElectionType, wanted: Wanted | None
) -> ControllerResult[Outcome]:
    """`wanted` None: every partition; of those only the ones that needed an election are told."""
    elections = _Elections(image, config, election)
    if wanted is None:
        outcome = [(topic.name, elections.of_topic(topic)) for topic in image.topics]
    else:
        outcome = [(name, [elections.told(name, index) for index in indexes]) for name, indexes in wanted]
    check_size(len(elections.records))
    return ControllerResult(elections.records, outcome)


def balance_leaders(image: MetadataImage, config: "BrokerConfig", limit: int) -> ControllerResult[bool]:
    """Leaders go back to the preferred replicas that are in sync again; True: the limit was reached
    (ReplicationControlManager.maybeBalancePartitionLeaders)."""
    elections = _Elections(image, config, ElectionType.PREFERRED)
    for topic, index, partition in image.topics.partitions():
        if len(elections.records) >= limit:
            break
        if partition.leader != partition.replicas[0]:
            elections.try_to_elect(topic, index, partition)
    return ControllerResult(elections.records, len(elections.records) >= limit)


def elect_uncleanly(image: MetadataImage, config: "BrokerConfig", limit: int) -> ControllerResult[bool]:
    """Partitions without a leader get one, with loss of data where the topic allows it; True: the limit was reached
    (ReplicationControlManager.maybeElectUncleanLeaders)."""
    elections = _Elections(image, config, ElectionType.UNCLEAN)
    for topic, index, partition in image.topics.partitions():
        if len(elections.records) >= limit:
            break
        if partition.leader == NO_LEADER and allows_unclean(image, config, topic.name):
            elections.try_to_elect(topic, index, partition)
    return ControllerResult(elections.records, len(elections.records) >= limit)


class _Elections:
    def __init__(self, image: MetadataImage, config: "BrokerConfig", election: ElectionType) -> None:
        self.records: list[Message] = []
        self._image = image
        self._config = config
        self._election = election

    def of_topic(self, topic: TopicImage) -> list[Elected]:
        told = [self.told(topic.name, index) for index in topic.partitions]
        return [row for row in told if row.code != ErrorCode.ELECTION_NOT_NEEDED]

    def told(self, name: str, index: int) -> Elected:
        try:
            self._elect(name, index)
        except KafkaError as error:
            return Elected(index, error.code, error.message)
        return Elected(index)

    def _elect(self, name: str, index: int) -> None:
        topic = self._image.topics.get(name)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {name}")
        partition = topic.partitions.get(index)
        if partition is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {name}-{index}")
        if self._is_as_wanted(partition):
            raise KafkaError(ErrorCode.ELECTION_NOT_NEEDED, NOT_NEEDED)
        record = self._change(topic, index, partition)
        if record is None:
            code, message = _NOT_AVAILABLE[self._election]
            raise KafkaError(code, message)
        self.records.append(record)

    def try_to_elect(self, topic: TopicImage, index: int, partition: PartitionImage) -> None:
        """Nothing where nobody better can lead."""
        record = self._change(topic, index, partition)
        if record is not None:
            LOG.info("%s-%d is led by %d now, no longer by %d", topic.name, index, record.leader, partition.leader)
            self.records.append(record)

    def _is_as_wanted(self, partition: PartitionImage) -> bool:
        if self._election == ElectionType.PREFERRED:
            return partition.leader == partition.replicas[0]
        return partition.leader != NO_LEADER

    def _change(self, topic: TopicImage, index: int, partition: PartitionImage) -> "PartitionChangeRecord | None":
        election = PREFERRED if self._election == ElectionType.PREFERRED else UNCLEAN
        return partition_change(
            partition,
            topic.id,
            index,
            isr=partition.isr,
            is_acceptable=may_lead(self._image, partition),
            rules=rules_of(self._image, self._config, topic, election),
        )
