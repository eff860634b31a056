"""What a Produce request must be before a log sees it. (ProduceRequest.validateRecords, RequestUtils)"""

from struct import Struct

from pykbroker.errors import KafkaError
from pykbroker.log.validator import ZSTD_FROM_PRODUCE_VERSION, check_produce_request
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.fast_produce import ProduceQuery, Records, TopicKey, Topics
from pykbroker.record.batch import (
    ATTRIBUTES_OFFSET,
    CURRENT_MAGIC,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC_OFFSET,
    TRANSACTIONAL_BIT,
    BatchHeader,
    batch_length_at,
    parse_header,
)

_BATCH_LENGTH = Struct(">i")
_BATCH_LENGTH_OFFSET = 8
_LAST_ATTRIBUTES_BYTE = ATTRIBUTES_OFFSET + 1


def check_first_batches(request: ProduceQuery, version: int) -> bool:
    """A damaged first batch fails the whole request, as does a transactional one in a request without transactional id
    (RequestUtils.hasTransactionalRecords).

    True: every entry is plain, so that check_records has nothing to find, and nothing belongs to a transaction.
    Raises KafkaError: CORRUPT_MESSAGE, UNKNOWN_SERVER_ERROR, TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
    """
    are_plain = version >= ZSTD_FROM_PRODUCE_VERSION
    for _, rows in request.topics:
        for _, records in rows:
            if records and is_one_batch(records) and not records[_LAST_ATTRIBUTES_BYTE] & TRANSACTIONAL_BIT:
                continue
            are_plain = False
            if records and is_transactional(records) and request.transactional_id is None:
                raise KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    return are_plain


def is_transactional(records: memoryview) -> bool:
    """Whether the first batch is whole and says so. Raises KafkaError when its size or magic is none."""
    if is_one_batch(records):
        return bool(records[_LAST_ATTRIBUTES_BYTE] & TRANSACTIONAL_BIT)
    size = batch_length_at(records, 0)
    if size is None or not HEADER_SIZE <= size <= len(records) or records[MAGIC_OFFSET] != CURRENT_MAGIC:
        return False
    return bool(records[_LAST_ATTRIBUTES_BYTE] & TRANSACTIONAL_BIT)


def is_one_batch(records: memoryview) -> bool:
    """The usual case, seen at a glance: one batch of magic 2 fills the bytes."""
    size = len(records)
    return (
        size >= HEADER_SIZE
        and _BATCH_LENGTH.unpack_from(records, _BATCH_LENGTH_OFFSET)[0] == size - LOG_OVERHEAD
        and records[MAGIC_OFFSET] == CURRENT_MAGIC
    )


def without_duplicates(topics: Topics) -> Topics:
    """Of several entries for one partition the last counts, as in the map that Kafka makes of them."""
    if len(topics) == 1 and len(topics[0][1]) == 1:
        return topics
    merged: dict[TopicKey, dict[int, Records]] = {}
    for topic, rows in topics:
        if rows:
            merged.setdefault(topic, {}).update(rows)
    return [(topic, list(rows.items())) for topic, rows in merged.items()]


def check_records(records: Records, version: int) -> None:
    """Exactly one batch of magic 2. Raises KafkaError CORRUPT_MESSAGE, INVALID_RECORD, UNSUPPORTED_COMPRESSION_TYPE."""
    if records is None or version < ZSTD_FROM_PRODUCE_VERSION or not is_one_batch(records):
        check_produce_request(records, version)


def transactional_header(records: Records) -> BatchHeader | None:
    """The header of a batch that belongs to a transaction."""
    if records is None or not is_transactional(records):
        return None
    header = parse_header(records)
    return header if header.has_producer_id else None
