import pytest

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.fast_produce import ProduceQuery
from pykbroker.record.builder import build_batch
from pykbroker.replica.produce_checks import (
    check_first_batches,
    check_records,
    is_one_batch,
    is_transactional,
    transactional_header,
    without_duplicates,
)

PLAIN = memoryview(build_batch([(b"k", b"v", [], 1)]))
TRANSACTIONAL = memoryview(
    build_batch([(b"k", b"v", [], 1)], producer_id=1, producer_epoch=0, base_sequence=0, is_transactional=True)
)


def code_of(call: object, *arguments: object) -> int:
    with pytest.raises(KafkaError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def damaged(position: int, value: int) -> memoryview:
    copy = bytearray(PLAIN)
    copy[position] = value
    return memoryview(copy)


def test_one_batch_is_seen_at_a_glance() -> None:
    assert is_one_batch(PLAIN)
    for other in (PLAIN[:-1], PLAIN[:60], memoryview(bytes(PLAIN) * 2), damaged(16, 1), memoryview(b"")):
        assert not is_one_batch(other)


def test_the_glance_never_lets_through_what_the_look_refuses() -> None:
    for position in range(len(PLAIN)):
        for value in (0, 1, 127, 128, 255):
            records = damaged(position, value)
            if is_one_batch(records):
                check_records(records, 3 if records[22] & 7 != 4 else 7)


def test_transactional_is_what_the_first_batch_says() -> None:
    assert is_transactional(TRANSACTIONAL)
    assert is_transactional(memoryview(bytes(TRANSACTIONAL) + bytes(PLAIN)))
    assert not is_transactional(memoryview(bytes(PLAIN) + bytes(TRANSACTIONAL)))
    assert not is_transactional(TRANSACTIONAL[:-1]), "not whole: the next check refuses it"
    assert code_of(is_transactional, damaged(11, 1)) == ErrorCode.CORRUPT_MESSAGE


def test_a_transactional_batch_needs_a_transactional_id() -> None:
    for transactional_id in (None, "tx"):
        request = ProduceQuery(transactional_id, 1, 0, [("t", [(0, PLAIN), (1, TRANSACTIONAL)])])
        if transactional_id is None:
            assert code_of(check_first_batches, request, 9) == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        else:
            assert not check_first_batches(request, 9)


def test_plain_requests_need_no_closer_look() -> None:
    assert check_first_batches(ProduceQuery("tx", 1, 0, [("t", [(0, PLAIN), (1, PLAIN)])]), 7)
    assert not check_first_batches(ProduceQuery(None, 1, 0, [("t", [(0, PLAIN)])]), 6), "zstd is new in v7"
    for records in (None, memoryview(b""), PLAIN[:-1]):
        assert not check_first_batches(ProduceQuery(None, 1, 0, [("t", [(0, PLAIN), (1, records)])]), 9)


def test_only_batches_of_a_producer_belong_to_a_transaction() -> None:
    header = transactional_header(TRANSACTIONAL)
    assert header is not None
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (1, 0, 0)
    without_producer = memoryview(build_batch([(b"k", b"v", [], 1)], is_transactional=True))
    assert [transactional_header(records) for records in (None, PLAIN, without_producer)] == [None, None, None]


def test_the_last_of_duplicates_counts() -> None:
    first, last = PLAIN, TRANSACTIONAL
    assert without_duplicates([("t", [(0, first), (1, first), (0, last)]), ("u", []), ("t", [(1, last)])]) == [
        ("t", [(0, last), (1, last)])
    ]
    assert without_duplicates([]) == []


def test_records_must_be_there() -> None:
    for records in (None, memoryview(b""), memoryview(b"123")):
        assert code_of(check_records, records, 9) == ErrorCode.INVALID_RECORD
