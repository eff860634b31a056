"""Offsets where one broker with one replica cannot get to: lagging high watermarks, open transactions."""

import pytest

from pykbroker.errors import KafkaError
from pykbroker.log.time_search import TimestampOffset
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.builder import build_batch
from pykbroker.replica.list_offsets import EARLIEST, LATEST, MAX_TIMESTAMP, NOT_FOUND, is_supported, offset_for
from tests.replica.stand import NODE_ID, Stand, partition_image

TIMESTAMP = 1_700_000_000_000


def append(stand: Stand, timestamp: int = TIMESTAMP, **fields: int) -> None:
    records = build_batch([(b"k", b"v", [], timestamp)], **fields)  # type: ignore[arg-type]
    stand.partition("t").append(records, 1, stand.clock.wall_ms())


def ask(stand: Stand, timestamp: int, *, isolation_level: int = 0, replica_id: int = -1) -> TimestampOffset:
    return offset_for(
        stand.partition("t"),
        timestamp,
        isolation_level=isolation_level,
        replica_id=replica_id,
        current_leader_epoch=-1,
    )


def test_an_open_transaction_hides_what_is_behind_it_from_read_committed(stand: Stand) -> None:
    stand.create("t")
    append(stand)
    append(stand, TIMESTAMP + 1, producer_id=5, producer_epoch=0, base_sequence=0, is_transactional=True)
    append(stand, TIMESTAMP + 2)
    assert ask(stand, LATEST).offset == 3
    assert ask(stand, LATEST, isolation_level=1).offset == 1
    assert ask(stand, TIMESTAMP + 1).offset == 1
    assert ask(stand, TIMESTAMP + 1, isolation_level=1) == NOT_FOUND
    assert ask(stand, MAX_TIMESTAMP).offset == 2
    assert ask(stand, MAX_TIMESTAMP, isolation_level=1) == NOT_FOUND
    assert ask(stand, LATEST, isolation_level=1, replica_id=-2).offset == 3


def test_a_new_leader_does_not_know_the_end_before_its_high_watermark_does(stand: Stand) -> None:
    """KIP-207."""
    stand.create("t")
    append(stand)
    two = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))
    stand.set_partition("t", two)
    append(stand, TIMESTAMP + 5)
    assert ask(stand, LATEST).offset == 1, "the same leader as before: nothing was committed by another"
    stand.set_partition("t", two._replace(leader_epoch=1))
    for timestamp in (LATEST, TIMESTAMP + 5):
        with pytest.raises(KafkaError) as caught:
            ask(stand, timestamp)
        assert caught.value.code == ErrorCode.OFFSET_NOT_AVAILABLE
    assert ask(stand, EARLIEST).offset == 0
    assert ask(stand, TIMESTAMP).offset == 0
    assert ask(stand, LATEST, replica_id=2).offset == 2


def test_the_earliest_offset_has_its_epoch(stand: Stand) -> None:
    stand.create("t")
    append(stand)
    stand.elect("t", NODE_ID, 3)
    append(stand)
    assert ask(stand, EARLIEST) == (-1, 0, 0)
    assert ask(stand, LATEST) == (-1, 2, 3)
    stand.partition("t").delete_records_before(1)
    assert ask(stand, EARLIEST) == (-1, 1, 3)


def test_a_disk_that_fails(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.create("t")
    append(stand)

    def fail(*_: object) -> None:
        raise OSError(5, "gone")

    monkeypatch.setattr(stand.partition("t").log, "offset_for_timestamp", fail)
    with pytest.raises(KafkaError) as caught:
        ask(stand, TIMESTAMP)
    assert caught.value.code == ErrorCode.KAFKA_STORAGE_ERROR


def test_versions_of_special_timestamps() -> None:
    assert [version for version in range(1, 12) if is_supported(MAX_TIMESTAMP, version)] == [7, 8, 9, 10, 11]
    assert is_supported(0, 1)
    assert not is_supported(-7, 11)
