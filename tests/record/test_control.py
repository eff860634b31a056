"""Control records: markers of transactions, the metadata log's own."""

import pytest

from pykbroker.protocol.embedded.leader_change import LeaderChangeMessage
from pykbroker.record.batch import parse_header
from pykbroker.record.control import (
    ControlType,
    control_batch,
    control_key,
    control_type_of,
    end_transaction_batch,
    end_transaction_coordinator_epoch,
)
from pykbroker.record.damage import InvalidRecord
from pykbroker.record.reader import iterate_records


@pytest.mark.parametrize("commit", [True, False])
def test_a_marker_is_a_transactional_control_batch(commit: bool) -> None:
    data = end_transaction_batch(
        commit=commit, producer_id=9, producer_epoch=2, coordinator_epoch=4, timestamp=77, base_offset=50
    )
    header = parse_header(data)
    assert header.is_control
    assert header.is_transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (9, 2, -1)
    (record,) = iterate_records(data)
    assert (record.offset, record.timestamp) == (50, 77)
    assert control_type_of(record.key) == (ControlType.COMMIT if commit else ControlType.ABORT)
    assert record.key == (b"\0\0\0\1" if commit else b"\0\0\0\0")
    assert record.value == b"\0\0\0\0\0\4"
    assert end_transaction_coordinator_epoch(record.value) == 4


def test_a_control_batch_of_the_metadata_log() -> None:
    message = LeaderChangeMessage(version=0, leader_id=3)
    data = control_batch(ControlType.LEADER_CHANGE, message, 0, base_offset=8, leader_epoch=6, timestamp=1)
    header = parse_header(data)
    assert header.is_control
    assert not header.is_transactional
    assert (header.base_offset, header.partition_leader_epoch, header.producer_id) == (8, 6, -1)
    (record,) = iterate_records(data)
    assert control_type_of(record.key) == ControlType.LEADER_CHANGE
    assert record.value == bytes(message.encode(0))


def test_types_that_are_not_known_are_told_as_they_are() -> None:
    assert control_type_of(control_key(99)) == 99
    assert control_type_of(control_key(3) + b"more") == 3


@pytest.mark.parametrize("key", [None, b"", b"\0\0\0", b"\xff\xff\0\1"])
def test_damaged_keys_are_refused(key: bytes | None) -> None:
    with pytest.raises(InvalidRecord):
        control_type_of(key)


@pytest.mark.parametrize("value", [None, b"", b"\0\0\0\0\0", b"\xff\xff\0\0\0\1"])
def test_damaged_markers_are_refused(value: bytes | None) -> None:
    with pytest.raises(InvalidRecord):
        end_transaction_coordinator_epoch(value)
