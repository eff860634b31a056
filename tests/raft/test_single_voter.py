import pytest

from pykbroker.clock import ManualClock
from pykbroker.ids import Endpoint, Uuid
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.embedded.voters import KRaftVersionFeature, Voter, VotersRecord
from pykbroker.raft import control, quorum_state
from pykbroker.raft.control import KRAFT_VERSION, KRAFT_VOTERS, LEADER_CHANGE, Quorum
from pykbroker.raft.dynamic_voters import DynamicVoter
from pykbroker.raft.formatting import write_first_voters
from pykbroker.raft.quorum_state import QuorumState
from pykbroker.raft.single_voter import NotTheOnlyVoter, become_leader, first_voters, next_epoch
from pykbroker.record.batch import iterate_batches
from pykbroker.record.reader import iterate_records
from tests.raft.conversations import exchanges
from tests.raft.logs import NOW, append, open_log

DIRECTORY = Uuid(range(16))


def lead(tmp_path, node_id=1):
    log = open_log(tmp_path)
    last_epoch = -1
    for batch in log.load():
        last_epoch = batch.epoch
    return log, become_leader(log, node_id, last_epoch)


def voters(*ids):
    feature = KRaftVersionFeature(min_supported_version=0, max_supported_version=1)
    members = [
        Voter(voter_id=i, voter_directory_id=DIRECTORY, endpoints=[], kraft_version_feature=feature) for i in ids
    ]
    return VotersRecord(version=0, voters=members)


def test_each_start_leads_a_new_epoch(tmp_path):
    for start in range(1, 4):
        log, epoch = lead(tmp_path)
        assert epoch == log.epoch == start
        assert quorum_state.read(log.directory) == QuorumState(1, start, voters=(1,))
        append(log, "a")
        log.sync()
    log = open_log(tmp_path)
    assert [batch.epoch for batch in log.load()] == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("state", "last_epoch", "expected"),
    [
        (None, -1, 1),
        (None, 4, 5),
        (QuorumState(1, 7), 4, 8),
        (QuorumState(-1, 2), 4, 5),
        (QuorumState(-1, -1), -1, 1),
    ],
)
def test_the_epoch_is_above_all_seen(state, last_epoch, expected):
    assert next_epoch(state, last_epoch) == expected


def test_the_epoch_is_taken_before_it_is_used(tmp_path, monkeypatch):
    log = open_log(tmp_path)
    monkeypatch.setattr(log, "lead", lambda *_: pytest.fail("stop"))
    with pytest.raises(BaseException, match="stop"):
        become_leader(log, 1, -1)
    _, epoch = lead(tmp_path)
    assert epoch == 2


def test_a_log_of_other_voters_is_not_led(tmp_path):
    log = open_log(tmp_path)
    quorum_state.write(log.directory, QuorumState(2, 5, voters=(1, 2, 3)))
    with pytest.raises(NotTheOnlyVoter, match="1, 2, 3"):
        become_leader(log, 1, -1)
    assert log.end_offset == 0
    assert quorum_state.read(log.directory) == QuorumState(2, 5, voters=(1, 2, 3))


def test_the_voters_in_the_log_count_more_than_those_in_the_file(tmp_path):
    log = open_log(tmp_path)
    log.quorum = Quorum(1, voters(1, 2))
    with pytest.raises(NotTheOnlyVoter, match="1, 2"):
        become_leader(log, 1, -1)
    log.quorum = Quorum(1, voters(1))
    assert become_leader(log, 1, -1) == 1
    assert quorum_state.read(log.directory) == QuorumState(1, 1, version=1)


# A dynamic quorum


def control_records(log):
    """(epoch, kind, message) of the log itself."""
    found = []
    for header, at in iterate_batches(log.read_committed(0, 1 << 20)):
        for record in iterate_records(log.read_committed(0, 1 << 20), at) if header.is_control else ():
            found.append((header.partition_leader_epoch, control.control_type(record.key)))
    return found


def dynamic(folder, port=9093):
    """Leads a log that was formatted with its first voter."""
    if not folder.exists():
        folder.mkdir()
        write_first_voters(str(folder), [DynamicVoter(1, "h", 9093, DIRECTORY)], "CONTROLLER", NOW)
    log = open_log(folder)
    last_epoch = -1
    for batch in log.load():
        last_epoch = batch.epoch
    become_leader(log, 1, last_epoch, [Endpoint("CONTROLLER", "PLAINTEXT", "h", port)])
    log.sync()
    return log


def test_the_first_voters_are_told_in_the_log(tmp_path):
    log = dynamic(tmp_path / "d")
    assert control_records(log) == [(1, LEADER_CHANGE), (1, KRAFT_VERSION), (1, KRAFT_VOTERS)]
    (voter,) = log.quorum.voters.voters
    assert (voter.voter_id, voter.endpoints[0].port) == (1, 9093)
    # Once is enough.
    assert control_records(dynamic(tmp_path / "d")) == [*control_records(log), (2, LEADER_CHANGE)]


def test_a_voter_that_moves_says_so(tmp_path):
    dynamic(tmp_path / "d")
    log = dynamic(tmp_path / "d", port=9999)
    assert control_records(log)[3:] == [(2, LEADER_CHANGE), (2, KRAFT_VERSION), (2, KRAFT_VOTERS)]
    loaded = open_log(tmp_path / "d")
    assert len(list(loaded.load())) == 3
    (voter,) = loaded.quorum.voters.voters
    assert (loaded.quorum.kraft_version, voter.endpoints[0].port) == (1, 9999)


def test_a_static_quorum_becomes_a_dynamic_one(tmp_path):
    """As the real Kafka 4.3.1 writes it for kafka-features upgrade --feature kraft.version=1."""
    log, _ = lead(tmp_path)
    log.upgrade_quorum(1, first_voters(1, DIRECTORY, [Endpoint("CONTROLLER", "PLAINTEXT", "h", 9093)]))
    log.sync()
    assert control_records(log) == [(1, LEADER_CHANGE), (1, KRAFT_VERSION), (1, KRAFT_VOTERS)]
    # Kafka leaves the file as it is until the next election.
    assert quorum_state.read(log.directory) == QuorumState(1, 1, voters=(1,))
    log, epoch = lead(tmp_path)
    assert quorum_state.read(log.directory) == QuorumState(1, epoch, version=1)
    assert log.quorum.kraft_version == 1
    (voter,) = log.quorum.voters.voters
    assert (voter.voter_id, voter.voter_directory_id, voter.endpoints[0].port) == (1, DIRECTORY, 9093)
    feature = voter.kraft_version_feature
    assert (feature.min_supported_version, feature.max_supported_version) == (0, 1)


def test_the_first_batch_of_a_dynamic_quorum_is_kafkas(tmp_path):
    """As a real controller that was formatted with --standalone gave it to its brokers."""
    first = next(
        data
        for exchange in exchanges("kraft-controller-dynamic", "raft-client-1")
        if exchange.api_key == ApiKey.FETCH and (data := exchange.response.responses[0].partitions[0].records)
    )
    theirs, at = next(iterate_batches(bytes(first)))
    kinds = [record.value for record in iterate_records(bytes(first), at)]
    (voter,) = VotersRecord.decode(kinds[2], 0)[0].voters
    (endpoint,) = voter.endpoints
    write_first_voters(
        str(tmp_path), [DynamicVoter(100, endpoint.host, endpoint.port, voter.voter_directory_id)], "CONTROLLER", NOW
    )
    log = open_log(tmp_path, clock=ManualClock(wall_ms=theirs.base_timestamp))
    list(log.load())
    become_leader(log, 100, -1, [Endpoint("CONTROLLER", "PLAINTEXT", endpoint.host, endpoint.port)])
    log.sync()
    assert log.read_committed(0, 1) == bytes(first)[at : at + theirs.size_in_bytes]
