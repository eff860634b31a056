"""Guards of transactions that are about to begin. KIP-890."""

from typing import Any

import pytest

from pykbroker.coordinator.shard import Marker
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.record.batch import BatchHeader, parse_header
from pykbroker.record.builder import build_batch
from pykbroker.replica.partition import ACKS_ALL, Partition
from pykbroker.replica.verifications import (
    Verification,
    check_first_sequence,
    check_verified,
    forget_verification,
    start_verification,
)
from tests.replica.stand import Stand

TP = TopicPartition("t", 0)
DAY_MS = 86_400_000


def batch(sequence: int = 0, epoch: int = 0, producer_id: int = 7) -> bytearray:
    return build_batch(
        [(b"k", b"v", (), 1_700_000_000_000)],
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
        is_transactional=True,
    )


def header(sequence: int = 0, epoch: int = 0) -> BatchHeader:
    return parse_header(batch(sequence, epoch))


def start(
    partition: Partition, sequence: int = 0, epoch: int = 0, now_ms: int = 0, **fields: Any
) -> Verification | None:
    settings: dict[str, Any] = {"producer_id": 7, "bumps_epochs": True, **fields}
    return start_verification(partition, epoch=epoch, sequence=sequence, now_ms=now_ms, **settings)


def refusal(call: Any, *arguments: Any) -> int:
    with pytest.raises(KafkaError) as caught:
        call(*arguments)
    return caught.value.code


@pytest.fixture
def partition(stand: Stand) -> Partition:
    stand.create("t")
    return stand.partition("t")


def append(stand: Stand, partition: Partition, records: bytearray) -> None:
    partition.append(records, ACKS_ALL, stand.clock.wall_ms())
    forget_verification(partition, parse_header(records).producer_id)


def test_the_first_batch_needs_a_guard_the_next_do_not(stand: Stand, partition: Partition) -> None:
    assert refusal(check_verified, partition, header(), None) == E.INVALID_TXN_STATE
    guard = start(partition)
    assert guard is not None
    assert refusal(check_verified, partition, header(), object()) == E.INVALID_TXN_STATE
    check_verified(partition, header(), guard)
    append(stand, partition, batch())
    assert start(partition, 1) is None
    check_verified(partition, header(1), None)


def test_a_marker_takes_the_guard_back(stand: Stand, partition: Partition) -> None:
    """The answer of the coordinator was late: the transaction has been aborted meanwhile."""
    guard = start(partition)
    stand.replicas.append_marker(TP, Marker(7, 0, 0, False), 0)
    assert refusal(check_verified, partition, header(), guard) == E.INVALID_TXN_STATE
    again = start(partition)
    assert again is not guard
    assert refusal(check_verified, partition, header(), guard) == E.INVALID_TXN_STATE
    check_verified(partition, header(), again)


def test_an_ended_transaction_is_not_open(stand: Stand, partition: Partition) -> None:
    start(partition)
    append(stand, partition, batch())
    stand.replicas.append_marker(TP, Marker(7, 0, 0, True), 0)
    assert refusal(check_verified, partition, header(1), None) == E.INVALID_TXN_STATE
    assert start(partition, 1) is not None


def test_old_epochs_are_refused_at_once(stand: Stand, partition: Partition) -> None:
    append(stand, partition, batch(epoch=5))
    assert refusal(lambda: start(partition, epoch=4)) == E.INVALID_PRODUCER_EPOCH
    assert refusal(check_verified, partition, header(epoch=4), None) == E.INVALID_PRODUCER_EPOCH
    assert start(partition, epoch=6) is not None  # its own transaction is not the open one


def test_batches_under_way_keep_their_order(partition: Partition) -> None:
    """One that overtakes the first would put it out of order for ever."""
    first = start(partition, 10, bumps_epochs=False)
    assert start(partition, 5, bumps_epochs=False) is first
    assert start(partition, 7, bumps_epochs=False) is first
    assert refusal(check_first_sequence, partition, header(7)) == E.OUT_OF_ORDER_SEQUENCE_NUMBER
    check_first_sequence(partition, header(5))
    start(partition, 9, epoch=1, bumps_epochs=False)
    check_first_sequence(partition, header(9, epoch=1))


def test_new_clients_begin_at_zero(stand: Stand, partition: Partition) -> None:
    start(partition, 3)
    assert refusal(check_first_sequence, partition, header(3)) == E.OUT_OF_ORDER_SEQUENCE_NUMBER
    start(partition, 0)
    check_first_sequence(partition, header(0))
    check_first_sequence(partition, parse_header(batch(9, producer_id=8)))  # nobody asked about it


def test_who_never_came_back_is_forgotten(partition: Partition) -> None:
    for producer_id in range(100):
        start(partition, producer_id=producer_id, now_ms=producer_id)
    assert partition.verifications is not None
    assert len(partition.verifications) == 100
    start(partition, producer_id=1000, now_ms=DAY_MS + 49)
    assert set(partition.verifications) == {*range(50, 100), 1000}


def test_only_the_leader_verifies(stand: Stand, partition: Partition) -> None:
    stand.elect("t", leader=2, epoch=1)
    assert refusal(lambda: start(partition)) == E.NOT_LEADER_OR_FOLLOWER
