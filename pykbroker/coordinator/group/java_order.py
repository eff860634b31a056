"""The order in which Java's HashMap and HashSet hand out what they hold: by bucket, then by when it came.

Assignors go through such maps, so who gets what depends on it. Buckets that Java turns into trees are left aside.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from pykbroker.ids import Uuid

T = TypeVar("T")

_MASK: Final = 0xFFFFFFFF
_SMALLEST: Final = 16


def string_hash(text: str) -> int:
    """String.hashCode, unsigned; over UTF-16 code units."""
    value = 0
    data = text.encode("utf-16-be", "surrogatepass")
    for index in range(0, len(data), 2):
        value = (31 * value + (data[index] << 8 | data[index + 1])) & _MASK
    return value


def uuid_hash(uuid: Uuid) -> int:
    """Kafka's Uuid.hashCode, unsigned."""
    folded = int.from_bytes(uuid[:8], "big") ^ int.from_bytes(uuid[8:], "big")
    return (folded >> 32) ^ (folded & _MASK)


def partition_hash(key: tuple[Uuid, int]) -> int:
    """That of the record TopicIdPartition, unsigned."""
    return (31 * uuid_hash(key[0]) + key[1]) & _MASK


def int_hash(value: int) -> int:
    return value & _MASK


def java_order(keys: Iterable[T], hash_of: Callable[[T], int], table: int) -> list[T]:
    """Distinct keys, which come in the order in which they were added. `table`: the number of buckets."""
    mask = table - 1

    def bucket(key: T) -> int:
        value = hash_of(key)
        return (value ^ value >> 16) & mask

    return sorted(keys, key=bucket)


def grown_table(held: int, table: int = _SMALLEST) -> int:
    """Buckets after it has held so many keys; it never shrinks."""
    while held > table * 3 // 4:
        table *= 2
    return table


def sized_table(held: int, expected: int) -> int:
    """Of one that was made for so many keys (AssignorHelpers.newHashMap), which are `held` at most."""
    return grown_table(held, 1 << int((expected + 1) / 0.75).bit_length())
