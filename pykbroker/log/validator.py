"""What a produced batch must satisfy, with Kafka's error for each breach; then its offsets are stamped in place.

Kafka's counterparts: ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords, LogValidator. The bytes are
copied only where the topic's codec differs from the producer's; records are walked because Kafka looks at each.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.log_config import LogConfig
from pykbroker.log.record_scan import Seen, scan_buffer, scan_skipping, scan_stream
from pykbroker.log.record_walk import Walked, walk_records
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
from pykbroker.record.builder import RecordLike, build_batch
from pykbroker.record.compression import CODEC_NAMES, DEFAULT_LIMIT, Codec, decompress
from pykbroker.record.damage import CorruptBatch, InvalidRecord, Undecompressable
from pykbroker.record.reader import MIN_RECORD_SIZE, iterate_payload
from pykbroker.record.varints import wrap_int64

NO_TIMESTAMP = -1
INT64_MAX = 0x7FFFFFFFFFFFFFFF
LOG_APPEND_TIME = "LogAppendTime"
# The first version of Produce that may carry zstd (KIP-110).
ZSTD_FROM_PRODUCE_VERSION = 7
# What is validated within about a millisecond: see needs_deep_validation.
COMPRESSED_AT_ONCE = 65_536
RECORDS_AT_ONCE = 1_500
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
    """Whether validation may take more than about a millisecond, so that the caller may prefer a thread.

    Records cost about a microsecond each; compressed ones may grow, and a lie about the count costs nothing.
    """
    if header.codec != Codec.NONE:
        return header.size_in_bytes > COMPRESSED_AT_ONCE
    return min(header.record_count, header.size_in_bytes // MIN_RECORD_SIZE) > RECORDS_AT_ONCE


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
    stays = target == header.codec
    payload = memoryview(records)[HEADER_SIZE : header.size_in_bytes]
    data, failure = decompressed(header, payload, max_decompressed)
    looked = look(header, data, failure, stays, topic_partition, config, now_ms)
    is_append_time = config.message_timestamp_type == LOG_APPEND_TIME
    log_append_time = now_ms if is_append_time else NO_TIMESTAMP
    if not stays:
        return rebuild(header, data, target, config, next_offset, leader_epoch, log_append_time, topic_partition)
    if header.codec != Codec.NONE and not looked.is_consecutive:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "Offsets of compressed records are not consecutive")
    max_timestamp = log_append_time if is_append_time else looked.max_timestamp
    if max_timestamp != header.max_timestamp or is_append_time != header.is_log_append_time:
        set_max_timestamp(records, 0, is_append_time, max_timestamp)
        header = parse_header(records)
    stamp(records, 0, next_offset, leader_epoch)
    last_offset = next_offset + header.last_offset_delta
    return ValidationResult(records, header, next_offset, last_offset, max_timestamp, log_append_time)


def decompressed(header: BatchHeader, payload: memoryview, limit: int) -> tuple[bytes, KafkaError | None]:
    """The records' bytes, and what a reader meets behind them: Kafka reads records while it decompresses, so a bad
    record may come before the damage that its codec finds. Raises TooLargeDecompressed."""
    try:
        return bytes(decompress(header.codec, payload, limit)), None
    except Undecompressable as error:
        return error.partial, error


class Looked(NamedTuple):
    max_timestamp: int  # -1 or later
    is_consecutive: bool  # offset deltas are 0, 1, 2 …


def look(
    header: BatchHeader,
    data: bytes,
    failure: KafkaError | None,
    stays: bool,
    topic_partition: TopicPartition,
    config: LogConfig,
    now_ms: int,
) -> Looked:
    """Looks at each record: in one quick walk, or as thoroughly as Kafka where that finds anything odd.

    Raises RecordValidationError, InvalidRecord, UNKNOWN_SERVER_ERROR.
    """
    count = header.record_count
    try:
        walked = None if failure else walk_records(data, count)
    except KafkaError:
        walked = None
    if walked and is_plain(header, walked, config, now_ms):
        return Looked(header.base_timestamp + walked.max_delta, walked.is_consecutive)
    if header.codec == Codec.NONE:
        seen = scan_buffer(data, count)
    else:
        seen = (scan_skipping if stays else scan_stream)(data, count, failure)
    return check_records(header, seen, topic_partition, config, now_ms)


def is_plain(header: BatchHeader, walked: Walked, config: LogConfig, now_ms: int) -> bool:
    """Whether no record can be refused and no timestamp is out of the ordinary."""
    if header.is_log_append_time or (walked.is_keyless and "compact" in config.cleanup_policy):
        return False
    smallest = header.base_timestamp + walked.min_delta
    largest = header.base_timestamp + walked.max_delta
    if smallest < 0 or largest > INT64_MAX:
        return False
    return config.message_timestamp_type == LOG_APPEND_TIME or (
        smallest >= now_ms - config.message_timestamp_before_max_ms
        and largest <= now_ms + config.message_timestamp_after_max_ms
    )


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


def check_records(
    header: BatchHeader, seen: Iterable[Seen], topic_partition: TopicPartition, config: LogConfig, now_ms: int
) -> Looked:
    """Key and timestamp of each record (LogValidator.validateRecord). Raises RecordValidationError."""
    is_compacted = "compact" in config.cleanup_policy
    no_key = f"Compacted topic cannot accept message without key in topic partition {topic_partition}"
    errors: RecordErrors = []
    code = ErrorCode.INVALID_RECORD
    max_timestamp = NO_TIMESTAMP
    is_consecutive = True
    for index, record in enumerate(seen):
        if is_compacted and not record.has_key:
            errors.append((index, no_key))
            continue
        timestamp = header.max_timestamp
        if not header.is_log_append_time:
            timestamp = wrap_int64(header.base_timestamp + record.timestamp_delta)
        message = timestamp_error(header, timestamp, record.offset_delta, config, now_ms)
        if message is not None:
            code = ErrorCode.INVALID_TIMESTAMP
            errors.append((index, message))
        max_timestamp = max(max_timestamp, timestamp)
        is_consecutive = is_consecutive and record.offset_delta == index
    if errors:
        raise_record_errors(code, errors)
    return Looked(max_timestamp, is_consecutive)


def timestamp_error(header: BatchHeader, timestamp: int, offset: int, config: LogConfig, now_ms: int) -> str | None:
    if config.message_timestamp_type != LOG_APPEND_TIME and timestamp != NO_TIMESTAMP:
        before, after = config.message_timestamp_before_max_ms, config.message_timestamp_after_max_ms
        age = wrap_int64(now_ms - timestamp)
        if age > before or wrap_int64(-age) > after:
            return (
                f"Timestamp {timestamp} of message with offset {offset} is out of range. "
                f"The timestamp should be within [{wrap_int64(now_ms - before)}, {wrap_int64(now_ms + after)}]"
            )
        return None
    if header.is_log_append_time:
        return "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime."
    return None


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
    """A new batch in the topic's codec, offsets consecutive (buildRecordsAndAssignOffsets, MemoryRecordsBuilder)."""
    if header.is_transactional and header.producer_id == -1:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "Transactional records without a producer id")
    if header.producer_id != -1 and (header.producer_epoch == -1 or header.base_sequence < 0):
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "Invalid negative producer epoch or sequence number")
    records = build_batch(
        kept_records(header, data),
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


def kept_records(header: BatchHeader, data: bytes) -> Iterator[RecordLike]:
    """One by one: a bomb's records as objects would take fifty times their bytes."""
    for record in iterate_payload(header, data):
        if record.timestamp < NO_TIMESTAMP:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"Invalid negative timestamp {record.timestamp}")
        yield record.key, record.value, record.headers, record.timestamp


def compression_level(config: LogConfig, codec: int) -> int | None:
    if codec == Codec.GZIP:
        return config.compression_gzip_level
    if codec == Codec.LZ4:
        return config.compression_lz4_level
    return config.compression_zstd_level if codec == Codec.ZSTD else None
