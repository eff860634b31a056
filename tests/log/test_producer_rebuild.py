"""Producers' state out of a snapshot and the batches behind it."""

from pathlib import Path

from pykbroker.log.files import Files
from pykbroker.log.producer_rebuild import catch_up
from pykbroker.log.producer_state import ProducerStateManager
from tests.log.logs import append, batch, open_log


def test_batches_behind_the_snapshot_are_replayed_up_to_the_end(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0", segment_bytes=300)
    for sequence in range(8):
        append(log, batch(producer_id=5, producer_epoch=0, base_sequence=sequence), origin="client")
    producers = ProducerStateManager(Files(), log.directory, log.topic_partition, 2**31 - 1)
    catch_up(producers, log.segments, 6)
    assert producers.producers[5].last_sequence == 5
    assert producers.map_end_offset == 6
    catch_up(producers, log.segments, log.log_end_offset)
    assert producers.producers[5].last_sequence == 7
