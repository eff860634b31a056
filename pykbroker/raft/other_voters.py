"""What the only voter answers to those who take it for one of several (KafkaRaftClient, KIP-595, KIP-853).

It has nobody to vote for, follow or wait for: a request of a former epoch is told the present one, all others are
refused. That its own epoch does not rise with a stranger's is right, as nobody else has a vote.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from pykbroker.ids import Uuid
from pykbroker.metadata.topic_names import CLUSTER_METADATA_TOPIC
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.raft.leader_state import LeaderState


class Partition(Protocol):
    partition_index: int


class Topic(Protocol):
    topic_name: str

    @property
    def partitions(self) -> Sequence[Partition]: ...


def error_of_request(state: LeaderState, cluster_id: str | None, topics: Sequence[Topic]) -> int:
    """At the top of the answer; 0: the only partition of the metadata log is asked for, in this cluster."""
    if not state.is_this_cluster(cluster_id):
        return ErrorCode.INCONSISTENT_CLUSTER_ID
    asked = [(topic.topic_name, each.partition_index) for topic in topics for each in topic.partitions]
    return ErrorCode.NONE if asked == [(CLUSTER_METADATA_TOPIC, 0)] else ErrorCode.INVALID_REQUEST


def error_of_voter(state: LeaderState, voter_id: int, epoch: int) -> int:
    """Of a request that only voters send (validateVoterOnlyRequest)."""
    if epoch < state.log.epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    return ErrorCode.INVALID_REQUEST if voter_id < 0 else ErrorCode.NONE


def voters(state: LeaderState) -> list[tuple[int, Uuid]]:
    """(id, directory id) of the voters in the log; none where the quorum is static."""
    found = state.log.quorum.voters
    return [] if found is None else [(voter.voter_id, voter.voter_directory_id) for voter in found.voters]


def replica_key(voter_id: int, directory_id: Uuid) -> str:
    """As Kafka's messages show it (ReplicaKey)."""
    return f"ReplicaKey(id={voter_id}, directoryId={directory_id})"


def replica_keys(keys: Iterable[tuple[int, Uuid]]) -> str:
    return f"[{', '.join(replica_key(*key) for key in keys)}]"
