"""After a crash the batches that a client may still have under way are known, not the last one alone."""

from pathlib import Path
from typing import Any

import pytest

from pykbroker.errors import KafkaError
from pykbroker.log.unified_log import UnifiedLog
from tests.log.logs import NOW, append, batch, open_log

ONE = {"segment_bytes": 10_000, "index_interval_bytes": 100}


def send(log: UnifiedLog, sequence: int, producer_id: int = 7, epoch: int = 0) -> int:
    """The first offset of a batch of two, as a client is answered."""
    records = batch((NOW, NOW), producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence)
    return append(log, records, origin="client")


def crashed(tmp_path: Path, *, twice: bool = False, **config: Any) -> UnifiedLog:
    log = open_log(tmp_path / "t-0", clean=False, **config)
    return open_log(tmp_path / "t-0", clean=False, **config) if twice else log


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("segment_bytes", [10_000, 400])
def test_the_last_five_are_answered_with_their_offsets(tmp_path: Path, twice: bool, segment_bytes: int) -> None:
    """Scenario 8, redpanda#3039: SIGKILL, and the client sends again what it had under way."""
    config = {**ONE, "segment_bytes": segment_bytes}
    log = open_log(tmp_path / "t-0", **config)
    for sequence in range(0, 14, 2):
        send(log, sequence)
        send(log, sequence, producer_id=8)
    log = crashed(tmp_path, twice=twice, **config)
    for sequence in range(4, 14, 2):
        assert send(log, sequence) == 2 * sequence
        assert send(log, sequence, producer_id=8) == 2 * sequence + 2
    assert log.log_end_offset == 28
    with pytest.raises(KafkaError):
        send(log, 2)  # the sixth last
    assert send(log, 14) == 28


def test_those_of_an_older_epoch_are_not(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0", **ONE)
    send(log, 0)
    send(log, 2)
    send(log, 0, epoch=1)
    send(log, 2, epoch=1)
    log = crashed(tmp_path, **ONE)
    assert send(log, 0, epoch=1) == 4
    with pytest.raises(KafkaError):
        send(log, 2, epoch=0)


def test_nor_what_comes_before_a_gap(tmp_path: Path) -> None:
    """Retention, or a state that had expired: nobody knows what was between."""
    log = open_log(tmp_path / "t-0", **ONE)
    send(log, 0)
    log.producer_state.producers.clear()
    send(log, 10)
    send(log, 12)
    log = crashed(tmp_path, **ONE)
    assert [each.first_sequence for each in log.producer_state.producers[7].batches] == [10, 12]


def test_a_clean_start_reads_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0", **ONE)
    send(log, 0)
    send(log, 2)
    log.close()
    log = open_log(tmp_path / "t-0", **ONE)
    assert len(log.producer_state.producers[7].batches) == 1
