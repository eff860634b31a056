"""What is left of message sets of magic 0 and 1, those that the Java classes wrote."""

from typing import Any

import pytest

from pykbroker.log.legacy_filter import filter_legacy, legacy_records
from pykbroker.record import legacy
from pykbroker.record.batch import iterate_frames
from pykbroker.record.damage import CorruptBatch
from pykbroker.record.reader import iterate_records
from tests.golden_data import golden_lines

LINES = [line for line in golden_lines("records/batches.jsonl.gz") if line["magic"] < 2]


def sets(line: dict[str, Any]) -> list[bytes]:
    data = bytes.fromhex(line["hex"])
    return [data[position : position + size] for position, size in iterate_frames(data)]


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line['case']}-{line['magic']}-{line['codec']}")
def test_every_second_message_stays(line: dict[str, Any]) -> None:
    for data in sets(line):
        records = legacy_records(data)
        kept = records[::2]
        found = filter_legacy(data, lambda record, kept=kept: record in kept)  # type: ignore[misc]
        assert found.data is not None
        assert list(iterate_records(found.data)) == kept
        assert (found.read, found.kept) == (len(records), len(kept))
        assert legacy.crc_is_valid(found.data, 0, len(found.data))
        assert (found.header.base_offset, found.header.last_offset) == (kept[0].offset, kept[-1].offset)


def test_all_or_nothing() -> None:
    data = sets(LINES[0])[0]
    assert filter_legacy(data, lambda _: True).data is data
    assert filter_legacy(data, lambda _: False).data is None
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(CorruptBatch):
        filter_legacy(damaged, lambda _: True)
