"""By which rules a topic's partitions elect their leaders: min.insync.replicas, unclean elections, ELR (KIP-966)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pykbroker.controller.leader_election import ONLINE, UNCLEAN, Rules
from pykbroker.metadata.features import ELR_VERSION, allows_elr_records
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.registration import has_online_directory
from pykbroker.metadata.topics import PartitionImage, TopicImage

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig


def rules_of(image: MetadataImage, config: "BrokerConfig", topic: TopicImage, election: str | None = None) -> Rules:
    """`election` None: as the topic's unclean.leader.election.enable says."""
    factor = len(topic.partitions[0].replicas) if 0 in topic.partitions else 1
    if election is None:
        election = UNCLEAN if allows_unclean(image, config, topic.name) else ONLINE
    return Rules(
        metadata_version=image.features.metadata_version,
        elr_enabled=elr_enabled(image),
        min_isr=min(int(str(_topic_config(image, config, topic.name, "min.insync.replicas"))), factor),
        election=election,
    )


def may_lead(image: MetadataImage, partition: PartitionImage) -> Callable[[int], bool]:
    """Which brokers may lead it: alive, and with its log directory (LeaderAcceptor)."""

    def acceptable(broker_id: int) -> bool:
        broker = image.brokers.get(broker_id)
        return broker is not None and broker.is_active and has_online_directory(broker, partition)

    return acceptable


def allows_unclean(image: MetadataImage, config: "BrokerConfig", topic: str) -> bool:
    return str(_topic_config(image, config, topic, "unclean.leader.election.enable")).lower() == "true"


def elr_enabled(image: MetadataImage) -> bool:
    features = image.features
    return allows_elr_records(features.metadata_version) and features.level(ELR_VERSION) >= 1


def _topic_config(image: MetadataImage, config: "BrokerConfig", topic: str, name: str) -> object:
    """The effective value of a topic config whose broker synonym has the same name."""
    configs = image.configs
    for level in (configs.topic(topic), configs.broker(config.node_id), configs.broker("")):
        if name in level:
            return level[name]
    return getattr(config, name.replace(".", "_"))
