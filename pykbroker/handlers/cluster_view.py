"""What Metadata and its kin tell of brokers and replicas (KRaftMetadataCache)."""

import random
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.metadata.image import BrokerRegistration, MetadataImage
from pykbroker.metadata.registration import has_online_directory
from pykbroker.metadata.topics import NO_LEADER, PartitionImage
from pykbroker.protocol.enums import ACL_SUPPORTED_OPERATIONS, ResourceType
from pykbroker.request import RequestContext, Services


class Node(NamedTuple):
    """A broker as one client reaches it."""

    id: int
    host: str
    port: int
    rack: str | None
    is_fenced: bool


NO_NODE: Final = Node(-1, "", -1, None, False)


def node_of(broker: Services, ctx: RequestContext, registration: BrokerRegistration) -> Node | None:
    """None for a broker that lacks the listener of the request."""
    if registration.endpoint(ctx.listener_name) is None:
        return None
    host, port = broker.endpoint_for(ctx, registration.id)
    return Node(registration.id, host, port, registration.rack, registration.fenced)


def nodes(broker: Services, ctx: RequestContext, image: MetadataImage) -> list[Node]:
    """All registered brokers with the listener of the request, fenced ones too."""
    found = (node_of(broker, ctx, registration) for registration in image.brokers.values())
    return [node for node in found if node is not None]


def endpoints(broker: Services, ctx: RequestContext, leaders: Iterable[int]) -> list[tuple[int, str, int]]:
    """(node id, host, port) of those leaders that have the listener of the request (KIP-951)."""
    found = []
    for node_id in sorted(set(leaders) - {NO_LEADER}):
        try:
            found.append((node_id, *broker.endpoint_for(ctx, node_id)))
        except KafkaError:
            continue
    return found


def any_alive_broker(image: MetadataImage) -> int:
    """Told as the controller: every broker forwards to the real one, which clients cannot reach. -1 without any."""
    alive = [registration.id for registration in image.brokers.values() if not registration.fenced]
    return random.choice(alive) if alive else -1


def leader_of(ctx: RequestContext, image: MetadataImage, partition: PartitionImage) -> int:
    """The leader, NO_LEADER when it is not registered or lacks the listener of the request."""
    registration = image.brokers.get(partition.leader)
    if registration is None or registration.endpoint(ctx.listener_name) is None:
        return NO_LEADER
    return partition.leader


def reachable(ctx: RequestContext, image: MetadataImage, brokers: Sequence[int]) -> list[int]:
    """Those that are alive and have the listener of the request."""
    return [broker_id for broker_id in brokers if is_reachable(ctx, image.brokers.get(broker_id))]


def is_reachable(ctx: RequestContext, registration: BrokerRegistration | None) -> bool:
    if registration is None or registration.fenced:
        return False
    return registration.endpoint(ctx.listener_name) is not None


def offline_replicas(ctx: RequestContext, image: MetadataImage, partition: PartitionImage) -> list[int]:
    """Replicas whose broker is away, lacks the listener, or lost the directory they lie in."""
    return [
        replica
        for replica in partition.replicas
        if not is_reachable(ctx, image.brokers.get(replica))
        or not has_online_directory(image.brokers[replica], partition)
    ]


def all_operations(resource: ResourceType) -> int:
    """Without an authorizer everybody may do everything, as a bit field of AclOperation."""
    return sum(1 << operation for operation in ACL_SUPPORTED_OPERATIONS[resource])
