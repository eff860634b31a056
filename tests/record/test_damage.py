"""Each kind of damage carries the error code that Kafka's broker answers."""

import pytest

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.damage import CorruptBatch, InvalidRecord, TooLargeDecompressed, Undecompressable


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CorruptBatch("x"), ErrorCode.CORRUPT_MESSAGE),
        (InvalidRecord("x"), ErrorCode.INVALID_RECORD),
        (Undecompressable("x"), ErrorCode.UNKNOWN_SERVER_ERROR),
        (TooLargeDecompressed(5), ErrorCode.MESSAGE_TOO_LARGE),
    ],
)
def test_codes(error: KafkaError, code: ErrorCode) -> None:
    assert error.code == code


def test_what_came_out_before_the_damage_is_kept() -> None:
    assert Undecompressable("x", b"before").partial == b"before"
    assert Undecompressable("x").partial == b""


def test_the_limit_is_told() -> None:
    assert "limit of 5 bytes" in str(TooLargeDecompressed(5))
