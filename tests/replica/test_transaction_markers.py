"""Markers in the log: what is refused, and when they are committed."""

import pytest

from pykbroker.coordinator.shard import Marker
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.record.batch import parse_header
from pykbroker.record.builder import build_batch
from pykbroker.replica.partition import ACKS_ALL
from tests.log.logs import read_all
from tests.replica.stand import NODE_ID, Stand, partition_image

TP = TopicPartition("t", 0)


def begin(stand: Stand, epoch: int = 0) -> None:
    records = build_batch(
        [(b"k", b"v", (), 1_700_000_000_000)],
        producer_id=7,
        producer_epoch=epoch,
        base_sequence=0,
        is_transactional=True,
    )
    stand.partition("t").append(records, ACKS_ALL, stand.clock.wall_ms())


def code_of(stand: Stand, marker: Marker) -> int:
    try:
        assert stand.replicas.write_marker(TP, marker) is None
    except KafkaError as error:
        return error.code
    return 0


def test_a_marker_ends_the_transaction(stand: Stand) -> None:
    stand.create("t")
    begin(stand)
    log = stand.partition("t").log
    assert log.last_stable_offset == 0
    assert code_of(stand, Marker(7, 0, 4, commit=False)) == 0
    assert (log.last_stable_offset, log.log_end_offset) == (2, 2)
    header = parse_header(list(read_all(log))[-1][1])
    assert (header.is_control, header.is_transactional, header.producer_id, header.producer_epoch) == (True, True, 7, 0)
    assert [each.first_offset for each in log.aborted_transactions(0, 2)] == [0]


@pytest.mark.parametrize(
    ("epoch", "version", "code"),
    [
        (2, 0, 0),
        (3, 0, 0),
        (1, 0, E.INVALID_PRODUCER_EPOCH),
        (1, 2, E.INVALID_PRODUCER_EPOCH),
        (2, 2, E.INVALID_PRODUCER_EPOCH),
        (3, 2, 0),
    ],
)
def test_epochs(stand: Stand, epoch: int, version: int, code: int) -> None:
    """KIP-1228: with transactions v2 the marker has a new epoch."""
    stand.create("t")
    begin(stand, epoch=2)
    assert code_of(stand, Marker(7, epoch, 0, True, version)) == code
    # And again, when the answer was lost.
    assert code_of(stand, Marker(7, epoch, 0, True, version)) == code


def test_a_coordinator_that_was_replaced(stand: Stand) -> None:
    stand.create("t")
    assert code_of(stand, Marker(7, 0, 5, True)) == 0
    assert code_of(stand, Marker(7, 0, 4, True)) == E.TRANSACTION_COORDINATOR_FENCED


def test_only_the_leader_of_this_epoch_writes(stand: Stand) -> None:
    stand.create("t")
    with pytest.raises(KafkaError) as caught:
        stand.replicas.append_marker(TP, Marker(7, 0, 0, True), 3)
    assert caught.value.code == E.NOT_LEADER_OR_FOLLOWER
    assert stand.replicas.append_marker(TP, Marker(7, 0, 0, True), 0) == 1
    stand.elect("t", leader=2, epoch=1)
    assert code_of(stand, Marker(7, 0, 0, True)) == E.NOT_LEADER_OR_FOLLOWER
    stand.delete("t")
    assert code_of(stand, Marker(7, 0, 0, True)) == E.UNKNOWN_TOPIC_OR_PARTITION


def test_with_followers_a_marker_waits_for_them(stand: Stand) -> None:
    stand.create("t")
    two = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))
    stand.set_partition("t", two)
    pending = stand.replicas.write_marker(TP, Marker(7, 0, 0, True))
    assert pending is not None
    assert not pending.done
    stand.set_partition("t", two._replace(isr=(NODE_ID,)))
    assert pending.done
    assert pending.result() is None


def test_who_waits_no_longer_leaves_nothing_behind(stand: Stand) -> None:
    """The followers may be gone for days, and each retry waits anew."""
    stand.create("t")
    two = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))
    stand.set_partition("t", two)
    pending = stand.replicas.write_marker(TP, Marker(7, 0, 0, True))
    assert pending is not None
    assert len(stand.partition("t").waiters) == 1
    pending.try_fail(KafkaError(E.REQUEST_TIMED_OUT))
    assert not stand.partition("t").waiters


def test_the_leader_moves_before_they_have_it(stand: Stand) -> None:
    stand.create("t")
    two = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))
    stand.set_partition("t", two)
    pending = stand.replicas.write_marker(TP, Marker(7, 0, 0, True))
    assert pending is not None
    stand.set_partition("t", two._replace(leader=2, leader_epoch=1))
    with pytest.raises(KafkaError) as caught:
        pending.result()
    assert caught.value.code == E.NOT_LEADER_OR_FOLLOWER
