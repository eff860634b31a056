"""From which replica a consumer should read: one in its own rack. (RackAwareReplicaSelector, KIP-392)"""

from typing import TYPE_CHECKING

from pykbroker.replica.isr import Peers

if TYPE_CHECKING:
    from pykbroker.replica.partition import Partition


def select_rack_aware(partition: "Partition", peers: Peers, rack_id: str, offset: int) -> int | None:
    """The one in the rack that is furthest, then freshest; None: this broker, the leader, itself.

    Only replicas in sync count: one that lags behind would hold its consumers back for good.
    """
    own = peers.brokers.get(peers.node_id)
    if partition.in_sync is None or (own is not None and own.rack == rack_id):
        return None
    near = [
        follower
        for follower in partition.in_sync.followers.values()
        if follower.id in partition.isr
        and follower.log_start_offset <= offset <= follower.log_end_offset
        and (broker := peers.brokers.get(follower.id)) is not None
        and broker.rack == rack_id
    ]
    if not near:
        return None
    return max(near, key=lambda one: (one.log_end_offset, one.last_caught_up, one.id)).id
