"""The only voter among strangers who want to vote, lead or join: over the wire, by the rules of KafkaRaftClient."""

from pathlib import Path
from typing import Any

import pytest

from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.embedded.voters import KRaftVersionFeature, Voter, VotersRecord
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages import begin_quorum_epoch, end_quorum_epoch, vote
from pykbroker.protocol.messages.add_raft_voter import AddRaftVoterRequest
from pykbroker.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest
from pykbroker.protocol.messages.update_raft_voter import UpdateRaftVoterRequest
from pykbroker.raft.control import Quorum
from tests.controller.nodes import CLUSTER, ControllerNode
from tests.controller.wire import Wire

METADATA = "__cluster_metadata"
DIRECTORY = Uuid(b"directory of one")
OTHER = Uuid(b"directory of two")


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    """Leads epoch 3."""
    node = ControllerNode(tmp_path)
    node.start()
    return Wire(node.again().again())


@pytest.fixture
def dynamic(wire: Wire) -> Wire:
    """The same of kraft.version 1."""
    voter = Voter(
        voter_id=1, voter_directory_id=DIRECTORY, endpoints=[], kraft_version_feature=KRaftVersionFeature(0, 1)
    )
    wire.node.log.quorum = Quorum(1, VotersRecord(voters=[voter]))
    return wire


def ask_for_vote(wire: Wire, version: int = 2, cluster_id: str | None = None, **fields: Any) -> Any:
    values = {"replica_id": 2, "replica_epoch": 9, "last_offset_epoch": 1, "last_offset": 5, **fields}
    topics = [vote.TopicData(METADATA, [vote.PartitionData(**values)])]
    return wire.ask(vote.VoteRequest(cluster_id=cluster_id, topics=topics), version)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_nobody_else_is_voted_for(wire: Wire, version: int) -> None:
    response = ask_for_vote(wire, version)
    (row,) = response.topics[0].partitions
    assert (row.error_code, row.vote_granted, row.leader_id, row.leader_epoch) == (0, False, 1, 3)
    assert [node.node_id for node in response.node_endpoints] == ([1] if version else [])
    assert wire.node.log.epoch == 3


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"replica_epoch": 2}, ErrorCode.FENCED_LEADER_EPOCH),
        ({"replica_id": -1}, ErrorCode.INVALID_REQUEST),
        ({"last_offset": -1}, ErrorCode.INVALID_REQUEST),
        ({"last_offset_epoch": -1}, ErrorCode.INVALID_REQUEST),
        ({"last_offset_epoch": 9}, ErrorCode.INVALID_REQUEST),
        ({"last_offset_epoch": 9, "pre_vote": True}, ErrorCode.NONE),
        ({"last_offset_epoch": 10, "pre_vote": True}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_votes_that_cannot_be(wire: Wire, fields: dict[str, Any], code: int) -> None:
    (row,) = ask_for_vote(wire, **fields).topics[0].partitions
    assert (row.error_code, row.vote_granted) == (code, False)


def test_votes_of_other_clusters_and_partitions(wire: Wire) -> None:
    assert ask_for_vote(wire, cluster_id="other").error_code == ErrorCode.INCONSISTENT_CLUSTER_ID
    assert ask_for_vote(wire, cluster_id=CLUSTER).error_code == 0
    assert ask_for_vote(wire, partition_index=1).error_code == ErrorCode.INVALID_REQUEST
    assert wire.ask(vote.VoteRequest(), 2).error_code == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("leader", "epoch", "code"),
    [
        (2, 2, ErrorCode.FENCED_LEADER_EPOCH),
        (2, 3, ErrorCode.INVALID_REQUEST),
        (2, 4, ErrorCode.INVALID_REQUEST),
        (-1, 4, ErrorCode.INVALID_REQUEST),
    ],
)
def test_nobody_else_leads(wire: Wire, version: int, leader: int, epoch: int, code: int) -> None:
    begun = begin_quorum_epoch.PartitionData(leader_id=leader, leader_epoch=epoch)
    ended = end_quorum_epoch.PartitionData(leader_id=leader, leader_epoch=epoch)
    requests = (
        begin_quorum_epoch.BeginQuorumEpochRequest(topics=[begin_quorum_epoch.TopicData(METADATA, [begun])]),
        end_quorum_epoch.EndQuorumEpochRequest(topics=[end_quorum_epoch.TopicData(METADATA, [ended])]),
    )
    for request in requests:
        response = wire.ask(request, version)
        (row,) = response.topics[0].partitions
        assert (response.error_code, row.error_code, row.leader_id, row.leader_epoch) == (0, code, 1, 3)


def test_requests_about_other_partitions(wire: Wire) -> None:
    for request in (begin_quorum_epoch.BeginQuorumEpochRequest(), end_quorum_epoch.EndQuorumEpochRequest()):
        assert wire.ask(request, 1).error_code == ErrorCode.INVALID_REQUEST


# Voters that come and go


def test_a_static_quorum_takes_no_voters(wire: Wire) -> None:
    added = wire.ask(AddRaftVoterRequest(cluster_id=None, voter_id=2, voter_directory_id=OTHER), 1)
    assert (added.error_code, added.error_message) == (
        ErrorCode.UNSUPPORTED_VERSION,
        "Cluster doesn't support adding voter because the kraft.version feature is 0",
    )
    removed = wire.ask(RemoveRaftVoterRequest(cluster_id=None, voter_id=1, voter_directory_id=DIRECTORY), 0)
    assert removed.error_code == ErrorCode.UNSUPPORTED_VERSION


@pytest.mark.parametrize(
    ("voter", "directory", "code"),
    [
        (-1, OTHER, ErrorCode.INVALID_REQUEST),
        (2, ZERO_UUID, ErrorCode.INVALID_REQUEST),
        (1, OTHER, ErrorCode.DUPLICATE_VOTER),
        (2, OTHER, ErrorCode.UNSUPPORTED_VERSION),
    ],
)
def test_a_quorum_of_one_stays_one(dynamic: Wire, voter: int, directory: Uuid, code: int) -> None:
    response = dynamic.ask(AddRaftVoterRequest(cluster_id=CLUSTER, voter_id=voter, voter_directory_id=directory), 1)
    assert response.error_code == code


@pytest.mark.parametrize(
    ("voter", "directory", "code"),
    [
        (-1, OTHER, ErrorCode.INVALID_REQUEST),
        (1, ZERO_UUID, ErrorCode.INVALID_REQUEST),
        (2, OTHER, ErrorCode.VOTER_NOT_FOUND),
        (1, OTHER, ErrorCode.VOTER_NOT_FOUND),
        (1, DIRECTORY, ErrorCode.INVALID_REQUEST),
    ],
)
def test_the_only_voter_stays(dynamic: Wire, voter: int, directory: Uuid, code: int) -> None:
    response = dynamic.ask(RemoveRaftVoterRequest(cluster_id=CLUSTER, voter_id=voter, voter_directory_id=directory), 0)
    assert response.error_code == code


def test_voters_of_other_clusters(dynamic: Wire) -> None:
    wrong = {"cluster_id": "other", "voter_id": 2, "voter_directory_id": OTHER}
    for request in (AddRaftVoterRequest(**wrong), RemoveRaftVoterRequest(**wrong), UpdateRaftVoterRequest(**wrong)):
        assert dynamic.ask(request, 0).error_code == ErrorCode.INCONSISTENT_CLUSTER_ID


@pytest.mark.parametrize(
    ("epoch", "voter", "directory", "code"),
    [
        (2, 1, DIRECTORY, ErrorCode.FENCED_LEADER_EPOCH),
        (4, 1, DIRECTORY, ErrorCode.UNKNOWN_LEADER_EPOCH),
        (3, -1, DIRECTORY, ErrorCode.INVALID_REQUEST),
        (3, 2, OTHER, ErrorCode.VOTER_NOT_FOUND),
        (3, 1, DIRECTORY, ErrorCode.INVALID_REQUEST),
    ],
)
def test_no_voter_but_this_one_has_endpoints_to_tell(
    dynamic: Wire, epoch: int, voter: int, directory: Uuid, code: int
) -> None:
    request = UpdateRaftVoterRequest(
        cluster_id=None, current_leader_epoch=epoch, voter_id=voter, voter_directory_id=directory
    )
    response = dynamic.ask(request, 0)
    leader = response.current_leader
    assert response.error_code == code
    assert (leader.leader_id, leader.leader_epoch, leader.host, leader.port) == (1, 3, "controller", 9093)
