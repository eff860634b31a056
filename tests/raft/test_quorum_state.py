import pytest

from pykbroker.ids import Uuid
from pykbroker.raft import quorum_state
from pykbroker.raft.quorum_state import QuorumState, QuorumStateError
from tests.log.logs import golden_directory

STATIC = QuorumState(leader_id=1, leader_epoch=1, voters=(1,))
DYNAMIC = QuorumState(leader_id=-1, leader_epoch=7, voted_id=3, voted_directory_id=Uuid(range(16)), version=1)


def test_kafkas_file_is_written_byte_for_byte(tmp_path):
    data, _ = golden_directory("clean", tmp_path)
    folder = str(data / "__cluster_metadata-0")
    assert quorum_state.read(folder) == STATIC
    assert quorum_state.render(STATIC) == (data / "__cluster_metadata-0" / "quorum-state").read_text()


@pytest.mark.parametrize("state", [STATIC, DYNAMIC])
def test_what_is_written_is_read_again(tmp_path, state):
    quorum_state.write(str(tmp_path), STATIC._replace(leader_epoch=0))
    quorum_state.write(str(tmp_path), state)
    assert quorum_state.read(str(tmp_path)) == state
    assert [path.name for path in tmp_path.iterdir()] == ["quorum-state"]


def test_a_dynamic_quorum_names_no_voters():
    assert quorum_state.render(DYNAMIC) == (
        '{"leaderId":-1,"leaderEpoch":7,"votedId":3,"votedDirectoryId":"AAECAwQFBgcICQoLDA0ODw","data_version":1}'
    )


def test_a_fresh_directory_has_none(tmp_path):
    assert quorum_state.read(str(tmp_path)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"leaderId":1,"leaderEpoch":1,"votedId":-1,"data_version":2}',
        '{"leaderId":"x","leaderEpoch":1,"votedId":-1,"data_version":0}',
        '{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"?","data_version":1}',
    ],
)
def test_anything_else_is_refused_with_the_path(tmp_path, text):
    (tmp_path / "quorum-state").write_text(text)
    with pytest.raises(QuorumStateError, match=str(tmp_path)):
        quorum_state.read(str(tmp_path))


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe",
        b"[" * 100_000,
        b"[1]",
        b'{"leaderId":Infinity,"leaderEpoch":1,"votedId":-1,"data_version":0}',
        b'{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":5,"data_version":1}',
    ],
)
def test_bytes_that_are_no_json_of_this_kind(tmp_path, raw):
    """Found by the fuzzer: what is not UTF-8 ended in a traceback."""
    (tmp_path / "quorum-state").write_bytes(raw)
    with pytest.raises(QuorumStateError):
        quorum_state.read(str(tmp_path))
