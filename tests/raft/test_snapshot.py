import os
import stat

import pytest

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.log.files import Files
from pykbroker.protocol.embedded.voters import Voter, VotersRecord
from pykbroker.raft import snapshot
from pykbroker.raft.control import Quorum
from pykbroker.raft.snapshot import SnapshotId
from pykbroker.record.batch import iterate_batches
from tests.log.logs import golden_directory

VALUES = [b"one", b"two", b"three"]
NAME = "00000000000000000191-0000000001.checkpoint"


def write(path, values=VALUES, **options):
    return snapshot.write(str(path), values, epoch=4, timestamp=77, now_ms=99, **options)


def test_what_is_written_is_read_again(tmp_path):
    size = write(tmp_path / NAME)
    assert os.listdir(tmp_path) == [NAME]
    assert size == (tmp_path / NAME).stat().st_size
    assert snapshot.read(str(tmp_path / NAME)) == snapshot.Snapshot(77, Quorum(), VALUES)
    assert snapshot.read_timestamp(str(tmp_path / NAME)) == 77


def test_it_is_read_only_as_kafkas(tmp_path):
    write(tmp_path / NAME)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o400


def test_the_quorum_is_in_the_header(tmp_path):
    voters = VotersRecord(voters=[Voter(voter_id=1, voter_directory_id=Uuid(range(16)))])
    write(tmp_path / NAME, quorum=Quorum(1, voters))
    assert snapshot.read(str(tmp_path / NAME)).quorum == Quorum(1, voters)
    headers = [header for header, _ in iterate_batches((tmp_path / NAME).read_bytes())]
    assert [(header.base_offset, header.record_count) for header in headers] == [(0, 3), (3, 3), (6, 1)]


def test_many_records_are_many_batches(tmp_path):
    values = [b"%d" % index for index in range(2 * snapshot.BATCH_RECORDS + 1)]
    write(tmp_path / NAME, values)
    headers = [header for header, _ in iterate_batches((tmp_path / NAME).read_bytes())]
    assert [header.record_count for header in headers] == [1, 1024, 1024, 1, 1]
    assert [header.base_offset for header in headers] == [0, 1, 1025, 2049, 2050]
    assert [header.is_control for header in headers] == [True, False, False, False, True]
    assert {header.partition_leader_epoch for header in headers} == {4}
    assert snapshot.read(str(tmp_path / NAME)).values == values


def test_an_empty_one_is_header_and_footer(tmp_path):
    write(tmp_path / NAME, [])
    assert snapshot.read(str(tmp_path / NAME)).values == []


def test_a_torn_one_is_refused_wherever_it_ends(tmp_path):
    write(tmp_path / NAME)
    data = (tmp_path / NAME).read_bytes()
    for length in range(len(data)):
        (tmp_path / "torn").write_bytes(data[:length])
        with pytest.raises((MalformedFrame, KafkaError)):
            snapshot.read(str(tmp_path / "torn"))


def test_a_damaged_one_is_refused(tmp_path):
    write(tmp_path / NAME)
    data = bytearray((tmp_path / NAME).read_bytes())
    data[data.index(b"two")] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(MalformedFrame, match="damaged"):
        snapshot.read(str(tmp_path / "damaged"))


def test_a_failure_while_writing_leaves_the_old_one(tmp_path):
    write(tmp_path / NAME)

    def values():
        yield b"x"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write(tmp_path / NAME, values())
    assert snapshot.read(str(tmp_path / NAME)).values == VALUES
    snapshot.remove_leftovers(str(tmp_path), Files())
    assert os.listdir(tmp_path) == [NAME]


@pytest.mark.parametrize(
    "name",
    [
        "191-1.checkpoint",
        "00000000000000000191-0000000001.checkpoint.part",
        "00000000000000000191-0000000001.checkpoint.deleted",
        "bootstrap.checkpoint",
        "leader-epoch-checkpoint",
        "0000000000000000019x-0000000001.checkpoint",
        "00000000000000000191_0000000001.checkpoint",
        "00000000000000000000.log",
    ],
)
def test_other_files_are_no_snapshots(name):
    assert SnapshotId.parse(name) is None


def test_names_sort_as_offsets(tmp_path):
    ids = [SnapshotId(191, 1), SnapshotId(0, 0), SnapshotId(1_000_000, 12)]
    assert ids[0].file_name == NAME
    for snapshot_id in ids:
        assert SnapshotId.parse(snapshot_id.file_name) == snapshot_id
        write(tmp_path / snapshot_id.file_name)
    assert snapshot.find_snapshots(str(tmp_path)) == sorted(ids)


def test_leftovers_go_and_nothing_else(tmp_path):
    kept = [NAME, "quorum-state", "00000000000000000000.log"]
    for name in (*kept, NAME + ".part", NAME + ".deleted"):
        (tmp_path / name).write_bytes(b"")
    snapshot.remove_leftovers(str(tmp_path), Files())
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_kafkas_own_is_read(tmp_path):
    data, _ = golden_directory("clean", tmp_path)
    path = data / "__cluster_metadata-0" / NAME
    found = snapshot.read(str(path))
    batches = [header for header, _ in iterate_batches(path.read_bytes())]
    assert len(found.values) == sum(header.record_count for header in batches if not header.is_control)
    assert found.quorum == Quorum()
    assert found.timestamp == snapshot.read_timestamp(str(path)) == 1_795_478_044_607
