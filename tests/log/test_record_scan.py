"""Kafka's three readers of records, damage by damage."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pykbroker.errors import KafkaError
from pykbroker.log.record_scan import Seen, scan_buffer, scan_skipping, scan_stream
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.builder import build_batch
from pykbroker.record.damage import InvalidRecord, Undecompressable

PAYLOAD = bytes(build_batch([(b"k", b"v", [("h", None)], 10), (None, None, [], 12)])[61:])
SEEN = [Seen(0, 0, True), Seen(2, 1, False)]
FAILURE = Undecompressable("damage behind")


def buffer(data: bytes, count: int, failure: KafkaError | None = None) -> Iterator[Seen]:
    assert failure is None
    return scan_buffer(data, count)


@pytest.mark.parametrize("scan", [buffer, scan_stream, scan_skipping])
def test_sees_sound_records(scan: Callable[..., Iterator[Seen]]) -> None:
    assert list(scan(PAYLOAD, 2, None)) == SEEN


@pytest.mark.parametrize("scan", [buffer, scan_stream, scan_skipping])
@pytest.mark.parametrize("data", [PAYLOAD[:-1], PAYLOAD + b"\0", PAYLOAD[:1], b""])
def test_refuses_too_few_and_too_many_bytes(scan: Callable[..., Iterator[Seen]], data: bytes) -> None:
    with pytest.raises(InvalidRecord):
        list(scan(data, 2, None))


def test_skipping_takes_a_length_that_is_wrong() -> None:
    lying = bytes([PAYLOAD[0] + 2]) + PAYLOAD[1:]
    assert list(scan_skipping(lying, 2, None)) == SEEN
    for scan in (buffer, scan_stream):
        with pytest.raises(InvalidRecord):
            list(scan(lying, 2, None))


def test_an_endless_length_is_an_unknown_error_only_without_compression() -> None:
    endless = b"\xff" * 10
    with pytest.raises(KafkaError) as raised:
        list(scan_buffer(endless, 1))
    assert raised.value.code == ErrorCode.UNKNOWN_SERVER_ERROR
    for scan in (scan_stream, scan_skipping):
        with pytest.raises(InvalidRecord):
            list(scan(endless, 1, None))


@pytest.mark.parametrize("scan", [scan_stream, scan_skipping])
def test_damage_of_the_codec_comes_in_its_turn(scan: Callable[..., Iterator[Seen]]) -> None:
    for data in (PAYLOAD, PAYLOAD[:-1], b""):
        with pytest.raises(Undecompressable):
            list(scan(data, 2, FAILURE))
    negative_header_count = b"\x0c\x00\x00\x00\x01\x01\x01"
    with pytest.raises(InvalidRecord):
        list(scan(negative_header_count, 2, FAILURE))


def test_bits_beyond_a_type_are_dropped() -> None:
    record: Any = b"\x14\x00\x00\x80\x80\x80\x80\x70\x01\x01\x00"
    assert list(scan_buffer(record, 1)) == [Seen(0, 0, False)]
