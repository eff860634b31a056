"""Java's string hash and Kafka's murmur2: where a group, a transactional id or a key goes.

org.apache.kafka.common.utils.Utils.murmur2, java.lang.String.hashCode. CRC-32C comes from the crc32c library.
"""

from functools import lru_cache

_MASK = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C


def java_string_hash(text: str) -> int:
    """A signed 32-bit hash over the UTF-16 code units."""
    value = 0
    if text.isascii():
        for unit in text.encode():
            value = 31 * value + unit & _MASK
        return _signed(value)
    raw = text.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(raw), 2):
        value = (31 * value + (raw[at] << 8) + raw[at + 1]) & _MASK
    return _signed(value)


def murmur2(data: bytes) -> int:
    """A signed 32-bit hash, as Kafka's default partitioner takes of a key."""
    length = len(data)
    value = _SEED ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        value = value * _M & _MASK ^ k
    if whole < length:
        value = (value ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    value = (value ^ value >> 13) * _M & _MASK
    return _signed(value ^ value >> 15)


@lru_cache(256)  # every heartbeat and commit of a group asks
def partition_for_id(text: str, partitions: int) -> int:
    """The partition of __consumer_offsets, __transaction_state or __share_group_state for an id.

    Kafka takes the absolute value here (Utils.abs), and not the lower 31 bits as it does for keys."""
    value = java_string_hash(text)
    return 0 if value == -_POSITIVE - 1 else abs(value) % partitions


def partition_for_key(key: bytes, partitions: int) -> int:
    """What a Java producer chooses for a key (Utils.toPositive)."""
    return (murmur2(key) & _POSITIVE) % partitions


def _signed(value: int) -> int:
    return value - (1 << 32) if value > _POSITIVE else value
