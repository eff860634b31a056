"""What is left of a batch: byte for byte what the Java classes leave of it."""

from collections.abc import Sequence
from typing import Any

import pytest

from pykbroker.errors import KafkaError
from pykbroker.log.batch_filter import Filtered, Retention, filter_batch
from pykbroker.log.record_spans import KEY, OFFSET_DELTA, Span
from pykbroker.record.batch import BatchHeader, crc_is_valid, iterate_batches, parse_header
from pykbroker.record.builder import build_batch
from pykbroker.record.damage import InvalidRecord
from pykbroker.record.reader import Record, iterate_records
from tests.golden_data import golden_lines

CASES = list(golden_lines("records/compaction.jsonl.gz"))
NOW = 1_700_000_000_000
HORIZON = NOW + 1000


def decoded(data: bytes) -> list[tuple[BatchHeader, list[Record]]]:
    """Without size and checksum, which depend on the compressor."""
    return [
        (header._replace(batch_length=0, crc=0), list(iterate_records(data, position)))
        for header, position in iterate_batches(data)
    ]


@pytest.mark.parametrize("line", CASES, ids=lambda line: f"{line['case']}-{line['codec']}")
def test_as_the_java_classes(line: dict[str, Any]) -> None:
    data, wanted = bytes.fromhex(line["input_hex"]), bytes.fromhex(line["output_hex"])
    retained = set(line["retain_offsets"])
    out = bytearray()
    read = kept = 0
    for header, position in iterate_batches(data):
        found = filter_batch(
            data[position : position + header.size_in_bytes],
            header,
            Retention[line["empty_batches"]],
            lambda header, spans: [span for span in spans if header.base_offset + span[OFFSET_DELTA] in retained],
            new_horizon_ms=line["now_ms"] + line["delete_retention_ms"],
        )
        read, kept = read + found.read, kept + found.kept
        out += found.data or b""
    assert decoded(bytes(out)) == decoded(wanted)
    assert all(crc_is_valid(out, position, header) for header, position in iterate_batches(out))
    if line["byte_exact"]:
        assert out == wanted
        assert line["result"]["bytes_retained"] == len(out)
    assert (line["result"]["messages_read"], line["result"]["messages_retained"]) == (read, kept)


def filtered(data: bytearray, keys: Sequence[bytes], retention: Retention = Retention.DELETE_EMPTY) -> Filtered:
    def select(_: BatchHeader, spans: list[Span]) -> list[Span]:
        return [span for span in spans if span[KEY] in keys]

    return filter_batch(data, parse_header(data), retention, select, new_horizon_ms=HORIZON)


def records(found: Filtered) -> list[Record]:
    assert found.data is not None
    assert found.header == parse_header(found.data)._replace(crc=found.header.crc)
    return list(iterate_records(found.data))


def test_all_is_kept_as_it_was() -> None:
    data = build_batch([(b"a", b"1", [], NOW), (b"b", b"2", [], NOW + 5)])
    assert filtered(data, [b"a", b"b"]).data is data


def test_the_first_goes_and_the_base_timestamp_moves() -> None:
    data = build_batch([(b"a", b"1", [], NOW), (b"b", b"2", [("h", None)], NOW + 5), (b"c", b"3", [], NOW + 200)])
    found = filtered(data, [b"b", b"c"])
    assert (found.header.base_timestamp, found.header.max_timestamp) == (NOW + 5, NOW + 200)
    assert records(found) == list(iterate_records(data))[1:]


def test_a_tombstone_gets_its_horizon_once() -> None:
    data = build_batch([(b"a", b"1", [], NOW), (b"b", None, [], NOW + 5)])
    found = filtered(data, [b"a", b"b"])
    assert (found.header.base_timestamp, found.header.has_delete_horizon) == (HORIZON, True)
    assert records(found) == list(iterate_records(data))
    assert found.data is not None
    again = filtered(bytearray(found.data), [b"a", b"b"])
    assert again.data == found.data
    assert records(filtered(bytearray(found.data), [b"b"])) == list(iterate_records(data))[1:]


def test_log_append_time_is_written_into_every_record() -> None:
    """As Java does it: the records' own timestamps are lost in a batch that is rebuilt."""
    data = build_batch([(b"a", b"1", [], NOW), (b"b", b"2", [], NOW + 5)], log_append_time=NOW + 9)
    found = filtered(data, [b"b"])
    assert (found.header.base_timestamp, found.header.max_timestamp) == (NOW + 9, NOW + 9)
    assert [record.timestamp for record in records(found)] == [NOW + 9]


def test_a_header_stays_where_it_must() -> None:
    data = build_batch([(b"a", b"1", [], NOW)], producer_id=5, producer_epoch=1, base_sequence=7, codec=1)
    found = filtered(data, [], Retention.RETAIN_EMPTY)
    assert records(found) == []
    assert (found.header.producer_id, found.header.last_sequence, found.header.last_offset) == (5, 7, 0)
    assert filtered(data, []).data is None
    assert filtered(data, [b"a"], Retention.DELETE).data is None


def test_damage_is_told() -> None:
    data = build_batch([(b"a", b"1", [], NOW)])
    data[61] = 0x7E
    with pytest.raises(InvalidRecord):
        filtered(data, [b"a"])
    data[21:23] = b"\0\1"
    with pytest.raises(KafkaError):
        filtered(data, [b"a"])
