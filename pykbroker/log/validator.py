"""What a produced batch must satisfy, with Kafka's error for each breach; then its offsets are stamped in place.

Kafka's counterparts: ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords, LogValidator. The bytes are
copied only where the topic's codec differs from the producer's; records are walked because Kafka looks at each.
"""

from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.log_config import LogConfig
from pykbroker.log.record_walk import Walked, check_partial, walk_records
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import (
    CURRENT_MAGIC,
    HEADER_SIZE,
    MAGIC_OFFSET,
    BatchHeader,
    Buffer,
    WritableBuffer,
    crc_is_valid,
    iterate_frames,
    parse_header,
    set_max_timestamp,
    stamp,
)
from pykbroker.record.builder import build_batch
from pykbroker.record.compression import CODEC_NAMES, DEFAULT_LIMIT, Codec, decompress
from pykbroker.record.damage import CorruptBatch, InvalidRecord, Undecompressable
from pykbroker.record.reader import iterate_payload

NO_TIMESTAMP = -1
LOG_APPEND_TIME = "LogAppendTime"
# The first version of Produce that may carry zstd (KIP-110).
ZSTD_FROM_PRODUCE_VERSION = 7
RecordErrors = list[tuple[int, str | None]]


class RecordValidationError(KafkaError):
    """Single records were refused: (index in the batch, message) of each. KIP-467."""

    def __init__(self, code: int, message: str, record_errors: RecordErrors) -> None:
        super().__init__(code, message)
        self.record_errors = record_errors


class ValidationResult(NamedTuple):
    """`records` is the same buffer, stamped, or a re-encoded one. Timestamps in milliseconds, -1 for none."""

    records: WritableBuffer
    header: BatchHeader  # as stored, but for base offset and leader epoch: see first_offset
    first_offset: int
    last_offset: int
    max_timestamp: int
    log_append_time: int


def check_produce_request(records: Buffer | None, version: int) -> None:
    """Exactly one batch of magic 2 (ProduceRequest.validateRecords). Raises CorruptBatch, InvalidRecord, KafkaError."""
    requests = f"Produce requests with version {version}"
    if not records:
        raise InvalidRecord(
            f"Produce requests with version {version} must have at least one record batch per partition"
        )
    size = len(records)
    frames = iterate_frames(records)
    first = next(frames, None)
    if first is None:
        raise InvalidRecord(
            f"Produce requests with version {version} must have at least one record batch per partition"
        )
    if records[MAGIC_OFFSET] != CURRENT_MAGIC:
        raise InvalidRecord(
            f"Produce requests with version {version} are only allowed to contain magic 2 record batches"
        )
    if version < ZSTD_FROM_PRODUCE_VERSION and size >= HEADER_SIZE and records[MAGIC_OFFSET + 6] & 7 == Codec.ZSTD:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
            f"{requests} are not allowed to use ZStandard compression",
        )
    if first[1] != size and next(frames, None) is not None:
        raise InvalidRecord(f"{requests} are only allowed to contain exactly one record batch per partition")


def needs_deep_validation(header: BatchHeader) -> bool:
    """Whether the records must be decompressed: work that may be worth a thread when the batch is large."""
    return header.codec != Codec.NONE


def validate_and_stamp(
    records: WritableBuffer,
    *,
    topic_partition: TopicPartition,
    config: LogConfig,
    next_offset: int,
    leader_epoch: int,
    now_ms: int,
    max_decompressed: int = DEFAULT_LIMIT,
) -> ValidationResult:
    """Checks a client's one batch and gives it its offsets, leader epoch and timestamp type.

    Raises RecordValidationError or KafkaError: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_RECORD,
    UNKNOWN_SERVER_ERROR (what its codec refuses). Bytes behind the batch are ignored.
    """
    header = check_batch(records, topic_partition, config)
    if len(records) != header.size_in_bytes:
        records = memoryview(records)[: header.size_in_bytes]
    target = target_codec(config, header.codec)
    check_header(header, topic_partition)
    payload = memoryview(records)[HEADER_SIZE : header.size_in_bytes]
    data = decompressed(header, payload, max_decompressed)
    walked = walk_records(data, header.record_count)
    refuse_records(header, walked, data, topic_partition, config, now_ms)
    is_append_time = config.message_timestamp_type == LOG_APPEND_TIME
    log_append_time = now_ms if is_append_time else NO_TIMESTAMP
    keeps_bytes = target == header.codec and (walked.is_consecutive or header.codec == Codec.NONE)
    if not keeps_bytes:
        return rebuild(header, data, target, config, next_offset, leader_epoch, log_append_time, topic_partition)
    max_timestamp = log_append_time if is_append_time else largest_timestamp(header, walked)
    if max_timestamp != header.max_timestamp or is_append_time != header.is_log_append_time:
        set_max_timestamp(records, 0, is_append_time, max_timestamp)
        header = parse_header(records)
    stamp(records, 0, next_offset, leader_epoch)
    last_offset = next_offset + header.last_offset_delta
    return ValidationResult(records, header, next_offset, last_offset, max_timestamp, log_append_time)


def decompressed(header: BatchHeader, payload: memoryview, limit: int) -> bytes:
    """The records' bytes. Raises InvalidRecord for a bad record before the damage that its codec finds: Kafka reads
    records while it decompresses; Undecompressable, TooLargeDecompressed."""
    try:
        return bytes(decompress(header.codec, payload, limit))
    except Undecompressable as error:
        check_partial(error.partial, header.record_count)
        raise


def check_batch(records: Buffer, topic_partition: TopicPartition, config: LogConfig) -> BatchHeader:
    """Base offset, size and checksum (analyzeAndValidateRecords)."""
    header = parse_header(records)
    if header.base_offset != 0:
        raise InvalidRecord(
            f"The baseOffset of the record batch in the append to {topic_partition} should be 0, "
            f"but it is {header.base_offset}"
        )
    check_size(header.size_in_bytes, topic_partition, config)
    if not crc_is_valid(records, 0, header):
        raise CorruptBatch(f"Record is corrupt (stored crc = {header.crc}) in topic partition {topic_partition}.")
    if header.codec > Codec.ZSTD:
        raise Undecompressable(f"Unknown compression type id: {header.codec}")
    return header


def check_size(size: int, topic_partition: TopicPartition, config: LogConfig) -> None:
    if size > config.max_message_bytes:
        raise KafkaError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"The record batch size in the append to {topic_partition} is {size} bytes which exceeds the maximum "
            f"configured value of {config.max_message_bytes}.",
        )


def check_header(header: BatchHeader, topic_partition: TopicPartition) -> None:
    """What a client may say in a header (LogValidator.validateBatch)."""
    where = f"in topic partition {topic_partition}"
    span = header.last_offset_delta + 1
    if span <= 0:
        raise InvalidRecord(f"Batch has an invalid offset range: [0, {header.last_offset_delta}] {where}")
    if header.record_count <= 0:
        raise InvalidRecord(f"Invalid reported count for record batch: {header.record_count} {where}")
    if span != header.record_count:
        raise InvalidRecord(
            f"Inconsistent batch offset range [0, {header.last_offset_delta}] and count of records "
            f"{header.record_count} {where}"
        )
    if header.is_control:
        raise InvalidRecord(f"Clients are not allowed to write control records {where}")
    if header.has_producer_id and header.base_sequence < 0:
        raise InvalidRecord(
            f"Invalid sequence number {header.base_sequence} in record batch with producerId {header.producer_id} "
            f"{where}"
        )


def target_codec(config: LogConfig, source: int) -> int:
    """The codec to store: the topic's compression.type, where "producer" means the producer's."""
    name = config.compression_type
    if name == "producer":
        return source
    return Codec.NONE if name == "uncompressed" else CODEC_NAMES[name]


def largest_timestamp(header: BatchHeader, walked: Walked) -> int:
    return header.max_timestamp if header.is_log_append_time else header.base_timestamp + walked.max_delta


def refuse_records(
    header: BatchHeader, walked: Walked, data: bytes, topic_partition: TopicPartition, config: LogConfig, now_ms: int
) -> None:
    """Raises RecordValidationError when a key is missing or a timestamp is out of bounds."""
    if walked.keyless and "compact" in config.cleanup_policy:
        message = f"Compacted topic cannot accept message without key in topic partition {topic_partition}"
        raise_record_errors(ErrorCode.INVALID_RECORD, [(index, message) for index in walked.keyless])
    if config.message_timestamp_type == LOG_APPEND_TIME:
        if header.is_log_append_time:
            raise_append_time_errors(header, range(header.record_count))
        return
    earliest = now_ms - config.message_timestamp_before_max_ms
    latest = now_ms + config.message_timestamp_after_max_ms
    largest = largest_timestamp(header, walked)
    smallest = header.max_timestamp if header.is_log_append_time else header.base_timestamp + walked.min_delta
    if smallest >= earliest and largest <= latest and not (header.is_log_append_time and smallest == NO_TIMESTAMP):
        return
    if largest == NO_TIMESTAMP == smallest and not header.is_log_append_time:
        return
    refuse_timestamps(header, data, earliest, latest)


def refuse_timestamps(header: BatchHeader, data: bytes, earliest: int, latest: int) -> None:
    """The slow look at each timestamp, once it is clear that some may be refused."""
    errors: RecordErrors = []
    for index, record in enumerate(iterate_payload(header, data)):
        if record.timestamp == NO_TIMESTAMP:
            if header.is_log_append_time:
                raise_append_time_errors(header, range(header.record_count))
            continue
        if not earliest <= record.timestamp <= latest:
            message = (
                f"Timestamp {record.timestamp} of message with offset {record.offset} is out of range. "
                f"The timestamp should be within [{earliest}, {latest}]"
            )
            errors.append((index, message))
    if errors:
        raise_record_errors(ErrorCode.INVALID_TIMESTAMP, errors)


def raise_append_time_errors(header: BatchHeader, indexes: range) -> None:
    message = "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime."
    raise_record_errors(ErrorCode.INVALID_TIMESTAMP, [(index, message) for index in indexes])


def raise_record_errors(code: ErrorCode, errors: RecordErrors) -> None:
    if code == ErrorCode.INVALID_TIMESTAMP:
        raise RecordValidationError(code, "One or more records have been rejected due to invalid timestamp", errors)
    shown = ", ".join(f"RecordError(batchIndex={index}, message='{message}')" for index, message in errors[:3])
    text = (
        f"One or more records have been rejected due to {len(errors)} record errors in total, and only showing the "
        f"first three errors at most: [{shown}]"
    )
    raise RecordValidationError(code, text, errors)


def rebuild(
    header: BatchHeader,
    data: bytes,
    target: int,
    config: LogConfig,
    next_offset: int,
    leader_epoch: int,
    log_append_time: int,
    topic_partition: TopicPartition,
) -> ValidationResult:
    """A new batch in the topic's codec, offsets consecutive (buildRecordsAndAssignOffsets)."""
    records = build_batch(
        [(record.key, record.value, record.headers, record.timestamp) for record in iterate_payload(header, data)],
        base_offset=next_offset,
        codec=target,
        level=compression_level(config, target),
        leader_epoch=leader_epoch,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        is_transactional=header.is_transactional,
        log_append_time=log_append_time if log_append_time != NO_TIMESTAMP else None,
    )
    stored = parse_header(records)
    check_size(stored.size_in_bytes, topic_partition, config)
    return ValidationResult(records, stored, next_offset, stored.last_offset, stored.max_timestamp, log_append_time)


def compression_level(config: LogConfig, codec: int) -> int | None:
    if codec == Codec.GZIP:
        return config.compression_gzip_level
    if codec == Codec.LZ4:
        return config.compression_lz4_level
    return config.compression_zstd_level if codec == Codec.ZSTD else None
