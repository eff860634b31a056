"""Records by name and field; their content is held against the real decoders in tests/raft/inspection/test_dump.py."""

import pytest

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.log.inspection.decoding import decode_control, decode_plain, decoder_of, told
from pykbroker.protocol.coordinator_records import frame_key, frame_value
from pykbroker.protocol.persisted.transaction.transaction_log import TransactionLogKey, TransactionLogValue
from pykbroker.record.control import control_key
from pykbroker.record.damage import InvalidRecord
from pykbroker.record.reader import Record

KEY = frame_key(TransactionLogKey(transactional_id="t"))
VALUE = frame_value(TransactionLogValue(producer_id=4, producer_epoch=1, transaction_timeout_ms=9), 0)


def record(key: bytes | None, value: bytes | None) -> Record:
    return Record(5, 1000, key, value, [], -1)


def test_text_is_shown_as_text_and_bytes_as_hex() -> None:
    assert decode_plain(record("grün".encode(), None)) == {"key": "grün", "value": None}
    assert decode_plain(record(b"\xff", b"a\nb")) == {"key_hex": "ff", "value_hex": "610a62"}
    row = decode_plain(Record(0, 0, b"", b"", [("h", None), ("h", b"\0")], -1))
    assert row["headers"] == [{"name": "h", "value": None}, {"name": "h", "value_hex": "00"}]


def test_coordinator_records() -> None:
    decode = decoder_of("transaction")
    row = decode(record(KEY, VALUE))
    assert (row["type"], row["key"], row["version"]) == ("TransactionLog", {"transactionalId": "t"}, 0)
    assert row["value"]["producerId"] == 4
    assert decode(record(KEY, None))["value"] is None


def test_a_record_of_a_newer_kafka_is_shown_as_it_is() -> None:
    assert decoder_of("group")(record(b"\0\x63x", b"y")) == {
        "type": "unknown record type 99",
        "key_hex": "006378",
        "value": "y",
    }


@pytest.mark.parametrize(("key", "value"), [(None, VALUE), (KEY[:-1], VALUE), (KEY, VALUE[:-1]), (KEY, VALUE + b"\0")])
def test_damaged_coordinator_records(key: bytes | None, value: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decoder_of("transaction")(record(key, value))


def test_control_records() -> None:
    marker = b"\0\0\0\0\0\7"
    assert decode_control(record(control_key(1), marker)) == {"control": "COMMIT", "coordinator_epoch": 7}
    assert decode_control(record(control_key(0), marker))["control"] == "ABORT"
    assert decode_control(record(control_key(99), b"x"))["control"] == "unknown type 99"
    with pytest.raises(KafkaError):
        decode_control(record(control_key(1), b""))
    with pytest.raises(MalformedFrame):
        decode_control(record(control_key(4), b"\0\0\0more"))


def test_a_complaint_has_no_error_code() -> None:
    assert told(InvalidRecord("odd")) == "odd"
    assert told(MalformedFrame("odd", 3)) == "odd at byte 3"
