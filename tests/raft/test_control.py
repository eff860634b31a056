import pytest

from pykbroker.errors import MalformedFrame
from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.embedded.kraft_version import KRaftVersionRecord
from pykbroker.protocol.embedded.leader_change import LeaderChangeMessage
from pykbroker.protocol.embedded.voters import Voter, VotersRecord
from pykbroker.raft import control
from pykbroker.record.batch import iterate_batches
from tests.log.logs import golden_directory

DIRECTORY = Uuid.parse("OdJgfWOTZ11Ni3htMe_PbA")


def test_the_leader_change_of_a_static_quorum_is_kafkas_batch(tmp_path):
    data, _ = golden_directory("clean", tmp_path)
    log = (data / "__cluster_metadata-0" / "00000000000000000000.log").read_bytes()
    header, at = next(iterate_batches(log))
    ours = control.control_batch(
        [(control.LEADER_CHANGE, control.leader_change(1, [1]))],
        base_offset=0,
        epoch=1,
        timestamp=header.base_timestamp,
    )
    assert bytes(ours) == log[at : at + header.size_in_bytes]


def test_a_leader_change_names_no_directories():
    message = control.leader_change(1, [1])
    assert isinstance(message, LeaderChangeMessage)
    assert message.version == 0
    assert [voter.voter_directory_id for voter in message.voters] == [ZERO_UUID]


@pytest.mark.parametrize("key", [None, b"", b"\0\0\0"])
def test_a_control_record_without_a_type_is_malformed(key):
    with pytest.raises(MalformedFrame):
        control.control_type(key)


def test_control_records_tell_of_the_quorum():
    voters = VotersRecord(version=0, voters=[Voter(voter_id=1, voter_directory_id=DIRECTORY)])
    quorum = control.quorum_after(
        control.Quorum(), control.KRAFT_VERSION, bytes(KRaftVersionRecord(kraft_version=1).encode(0))
    )
    quorum = control.quorum_after(quorum, control.KRAFT_VOTERS, bytes(voters.encode(0)))
    assert quorum.kraft_version == 1
    assert quorum.voters is not None
    assert [voter.voter_id for voter in quorum.voters.voters] == [1]
    assert control.quorum_after(quorum, control.SNAPSHOT_FOOTER, b"") == quorum
