"""The power goes: what lies below the recovery point is there, and with it the producers and epochs of that time."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.record.builder import build_batch
from pykbroker.record.reader import iterate_records
from tests.crash.power import PowerCut
from tests.log.logs import NOW, open_log, read_all

CONFIG: dict[str, Any] = {"segment_bytes": 600, "index_interval_bytes": 150, "retention_ms": -1}
OPERATIONS = st.sampled_from(["append", "append", "append", "flush", "flush sealed", "epoch", "roll"])


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(st.lists(OPERATIONS, min_size=5, max_size=40))
def test_what_was_flushed_is_there(operations: list[str]) -> None:
    with tempfile.TemporaryDirectory() as root:
        directory = Path(root) / "t-0"
        files = PowerCut()
        log = open_log(directory, files=files, **CONFIG)
        epoch = 0
        epoch_of: dict[int, int] = {}
        for operation in operations:
            offset = log.log_end_offset
            if operation == "append":
                data = build_batch(
                    [(None, b"%d" % offset, [], NOW + offset)], producer_id=7, producer_epoch=0, base_sequence=offset
                )
                log.append_as_leader(data, epoch, NOW)
                epoch_of[offset] = epoch
            elif operation == "flush":
                log.flush()
            elif operation == "flush sealed":
                log.flush_job(log.active.base_offset)()
                log.flushed(log.active.base_offset)
            elif operation == "roll":
                log.roll(NOW)
            else:
                epoch += 1
        durable = log.recovery_point
        del log
        files.cut(directory)
        log = open_log(directory, clean=False, recovery_point=durable, **CONFIG)
        assert log.log_end_offset >= durable
        found = [int(record.value or b"") for _, data in read_all(log) for record in iterate_records(data)]
        assert found == list(range(log.log_end_offset))
        assert [log.leader_epochs.epoch_for_offset(offset) for offset in found] == [
            epoch_of[offset] for offset in found
        ]
        for offset in found:
            at = log.offset_for_timestamp(NOW + offset)
            assert at is not None
            assert at.offset == offset
        producer = log.producer_state.producers.get(7)
        assert (producer.last_sequence if producer else -1) == log.log_end_offset - 1
