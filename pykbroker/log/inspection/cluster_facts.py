"""What the metadata log knows of a node's logs."""

from collections.abc import Mapping
from typing import NamedTuple

from pykbroker.ids import Uuid


class TopicFacts(NamedTuple):
    """`replicas`: of each partition, the ids of the brokers that have it."""

    topic_id: Uuid
    is_compacted: bool
    replicas: Mapping[int, tuple[int, ...]]


class ClusterFacts(NamedTuple):
    """`directory_ids` and `broker_epoch` as the node registered last; -1 and none when it never did."""

    topics: Mapping[str, TopicFacts]
    directory_ids: tuple[Uuid, ...]
    broker_epoch: int
