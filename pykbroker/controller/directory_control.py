"""Which log directory a replica lies in, as its broker tells (ReplicationControlManager, KIP-858)."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from pykbroker.controller.cluster_control import check_broker_epoch
from pykbroker.controller.election_rules import may_lead, rules_of
from pykbroker.controller.leader_election import ONLINE, partition_change
from pykbroker.controller.new_partitions import default_directory
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.metadata.features import allows_directories
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topics import TopicImage
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.message import Message

Wanted = Iterable[tuple[Uuid, Uuid, int]]  # directory, topic, partition


def assign_replicas(
    image: MetadataImage, config: "BrokerConfig", broker_id: int, broker_epoch: int, wanted: Wanted
) -> ControllerResult[list[int]]:
    """An error code for each. Raises KafkaError: UNSUPPORTED_VERSION, STALE_BROKER_EPOCH."""
    if not allows_directories(image.features.metadata_version):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, "Directory assignment is not supported yet.")
    online = check_broker_epoch(image, broker_id, broker_epoch).directories
    records: list[Message] = []
    codes: list[int] = []
    for directory, topic_id, index in wanted:
        topic = image.topics.by_id(topic_id)
        code = _error(topic, index, broker_id)
        if topic is not None and not code:
            records.extend(_change(image, config, topic, index, broker_id, directory, is_online=directory in online))
        codes.append(code)
    return ControllerResult(records, codes)


def _error(topic: TopicImage | None, index: int, broker_id: int) -> int:
    if topic is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    partition = topic.partitions.get(index)
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.NONE if broker_id in partition.replicas else ErrorCode.NOT_LEADER_OR_FOLLOWER


def _change(
    image: MetadataImage,
    config: "BrokerConfig",
    topic: TopicImage,
    index: int,
    broker_id: int,
    directory: Uuid,
    *,
    is_online: bool,
) -> "list[Message]":
    """A replica in a directory that its broker has lost is out of sync, and leads nothing: another does, uncleanly
    where the topic allows it."""
    partition = topic.partitions[index]
    may_lead_now = may_lead(image, partition)
    record = partition_change(
        partition,
        topic.id,
        index,
        isr=[replica for replica in partition.isr if is_online or replica != broker_id],
        is_acceptable=lambda replica: may_lead_now(replica) and (is_online or replica != broker_id),
        rules=rules_of(image, config, topic, ONLINE if is_online else None),
        directory_of=partial(default_directory, image),
        directories={broker_id: directory},
    )
    return [] if record is None else [record]
