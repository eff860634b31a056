"""Record batches, damaged: reading and validating them raises Kafka's errors or works, in no more memory than allowed.

What is accepted and not compressed must be readable afterwards, or a consumer would meet what the producer did.
(Of compressed records that it stores as they came, Kafka looks at some fields only; we accept exactly what it accepts.)
"""

from collections.abc import Iterator
from functools import cache

from pykbroker.config.topic_config import TopicConfig
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import TopicPartition
from pykbroker.log.validator import check_produce_request, validate_and_stamp
from pykbroker.record.batch import CURRENT_MAGIC, HEADER_SIZE, compute_crc, iterate_frames
from pykbroker.record.reader import iterate_records
from tests.golden_data import golden_lines
from tools.fuzz.findings import Finding, Stall, stopwatch
from tools.fuzz.mutate import Mutator

CRC_AT, CRC_UNTIL = 17, 21
LENGTH_AT, LENGTH_UNTIL = 8, 12
MAGIC_AT, ATTRIBUTES_AT = 16, 22
NOT_PLAIN = 0x30  # transactional, control
LARGEST = 4000  # bytes of a batch: larger ones only make it slower
NOW = 1_700_000_000_000


@cache
def batches() -> list[bytes]:
    """Golden batches of all magics, codecs and kinds."""
    found = [bytes.fromhex(line["hex"]) for line in golden_lines("records/batches.jsonl.gz")]
    return [batch for batch in found if len(batch) <= LARGEST]


@cache
def produced() -> list[bytes]:
    """Those that a producer without transactions may send."""
    return [batch for batch in batches() if batch[MAGIC_AT] == CURRENT_MAGIC and not batch[ATTRIBUTES_AT] & NOT_PLAIN]


def damaged(mutator: Mutator, corpus: list[bytes]) -> bytes:
    """Most of them with a length and a checksum that hold, so that what lies behind these is reached."""
    keep = mutator.random.choice((0, LENGTH_UNTIL, CRC_UNTIL, HEADER_SIZE, HEADER_SIZE, HEADER_SIZE))
    data = bytearray(mutator.mutate(mutator.random.choice(corpus), keep))
    if keep and len(data) >= HEADER_SIZE:
        data[LENGTH_AT:LENGTH_UNTIL] = (len(data) - LENGTH_UNTIL).to_bytes(4, "big")
        data[CRC_AT:CRC_UNTIL] = compute_crc(data, 0, len(data)).to_bytes(4, "big")
    return bytes(data)


def configs() -> list[TopicConfig]:
    """Topics that store as produced, recompress, stamp, or want keys."""
    found = [TopicConfig() for _ in range(5)]
    found[1].__dict__.update(compression_type="zstd")
    found[2].__dict__.update(message_timestamp_type="LogAppendTime")
    found[3].__dict__.update(cleanup_policy=["compact"])
    found[4].__dict__.update(compression_type="uncompressed")
    return found


def read(data: bytes, config: TopicConfig) -> None:
    """All batches and all their records. Raises KafkaError."""
    for position, _ in iterate_frames(data):
        list(iterate_records(data, position, max_decompressed=config.max_message_bytes))


def produce(data: bytes, config: TopicConfig) -> None:
    """As the broker does it. Raises KafkaError."""
    check_produce_request(data, 9)
    result = validate_and_stamp(
        bytearray(data),
        topic_partition=TopicPartition("topic", 0),
        config=config,
        next_offset=5,
        leader_epoch=1,
        now_ms=NOW,
    )
    stored = bytes(result.records)
    try:
        found = list(iterate_records(stored))
    except KafkaError as error:
        if result.header.codec:
            return
        raise AssertionError(f"accepted, but cannot be read: {error}") from error
    if result.last_offset - result.first_offset + 1 != len(found):
        raise AssertionError(f"accepted {len(found)} records as {result.first_offset} to {result.last_offset}")


def run(seed: int, inputs: int) -> Iterator[Finding]:
    corpus = batches()
    mutator = Mutator(seed, corpus)
    kinds = configs()
    for _ in range(inputs):
        data = damaged(mutator, corpus)
        config = mutator.random.choice(kinds)
        for what in (read, produce):
            try:
                with stopwatch(what.__name__):
                    what(data, config)
            except (KafkaError, MalformedFrame):
                continue
            except (Exception, Stall) as error:
                yield Finding("records", f"{what.__name__}: {type(error).__name__}: {error}", data)
