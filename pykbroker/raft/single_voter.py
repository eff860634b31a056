"""Becoming leader of a quorum of one: at each start a new epoch, begun with a LeaderChange record (KafkaRaftClient)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pykbroker.ids import ZERO_UUID, Endpoint, Uuid
from pykbroker.metadata.features import SUPPORTED_FEATURES
from pykbroker.raft import control, quorum_state
from pykbroker.raft.metadata_log import MetadataLog
from pykbroker.raft.quorum_state import QuorumState

if TYPE_CHECKING:
    from pykbroker.protocol.embedded.voters import Endpoint as VoterEndpoint
    from pykbroker.protocol.embedded.voters import KRaftVersionFeature, VotersRecord


class NotTheOnlyVoter(Exception):
    """The log belongs to a quorum that this node alone is not: leading it would split the cluster."""


def become_leader(log: MetadataLog, node_id: int, last_epoch: int, endpoints: Sequence[Endpoint] = ()) -> int:
    """Leads the loaded `log` in a new epoch, which is returned; `last_epoch` is its last batch's, -1 when it is empty.

    `endpoints`: where this voter is reached now. Raises NotTheOnlyVoter, QuorumStateError, OSError.
    """
    state = quorum_state.read(log.directory)
    check_voters(log, node_id, state)
    epoch = next_epoch(state, last_epoch)
    kraft_version = log.quorum.kraft_version
    # On disk before the first batch of the epoch: no epoch is ever led twice.
    quorum_state.write(log.directory, leader_state(node_id, epoch, kraft_version), log.files)
    change = control.leader_change(node_id, [node_id])
    log.lead(epoch, change, _new_voters(log, endpoints))
    return epoch


def _new_voters(log: MetadataLog, endpoints: Sequence[Endpoint]) -> "VotersRecord | None":
    """Of a dynamic quorum: its only voter, unless the log tells of it already (appendStartOfEpochControlRecords)."""
    known = log.quorum.voters
    if known is None:
        return None
    (voter,) = known.voters
    told = _told(endpoints) or voter.endpoints
    if log.voters_are_in_log and told == voter.endpoints:
        return None
    return _only_voter(voter.voter_id, voter.voter_directory_id, told, voter.kraft_version_feature)


def first_voters(node_id: int, directory_id: Uuid, endpoints: Sequence[Endpoint]) -> "VotersRecord":
    """Of a static quorum that becomes a dynamic one."""
    from pykbroker.protocol.embedded.voters import KRaftVersionFeature

    lowest, highest = SUPPORTED_FEATURES["kraft.version"]
    feature = KRaftVersionFeature(min_supported_version=lowest, max_supported_version=highest)
    return _only_voter(node_id, directory_id, _told(endpoints), feature)


def _told(endpoints: Sequence[Endpoint]) -> "list[VoterEndpoint]":
    from pykbroker.protocol.embedded.voters import Endpoint as VoterEndpoint

    return [VoterEndpoint(name=each.listener, host=each.host, port=each.port) for each in endpoints]


def _only_voter(
    node_id: int, directory_id: Uuid, endpoints: "list[VoterEndpoint]", feature: "KRaftVersionFeature"
) -> "VotersRecord":
    from pykbroker.protocol.embedded.voters import Voter, VotersRecord

    voter = Voter(voter_id=node_id, voter_directory_id=directory_id, endpoints=endpoints, kraft_version_feature=feature)
    return VotersRecord(voters=[voter])


def check_voters(log: MetadataLog, node_id: int, state: QuorumState | None) -> None:
    """Raises NotTheOnlyVoter when the log or the file names other voters than this node."""
    if log.quorum.voters is not None:
        voters = sorted(voter.voter_id for voter in log.quorum.voters.voters)
    else:
        voters = sorted(state.voters) if state is not None else []
    if voters and voters != [node_id]:
        names = ", ".join(map(str, voters))
        raise NotTheOnlyVoter(
            f"{log.directory} belongs to the controllers {names}; this node is {node_id} and runs alone. "
            f"Set node.id to the controller's id, or start it with its quorum."
        )


def next_epoch(state: QuorumState | None, last_epoch: int) -> int:
    """Higher than any epoch this node has seen."""
    seen = max(last_epoch, state.leader_epoch if state is not None else 0, 0)
    return seen + 1


def leader_state(node_id: int, epoch: int, kraft_version: int) -> QuorumState:
    if kraft_version:
        return QuorumState(node_id, epoch, voted_directory_id=ZERO_UUID, version=1)
    return QuorumState(node_id, epoch, voters=(node_id,))
