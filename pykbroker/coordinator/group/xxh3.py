"""XXH3 with 64 bits and no seed, by which Kafka 4.1 and newer tell whether the topics of a group have changed.

Written after the algorithm's description; held by test vectors of hash4j, which Kafka uses. Strings are hashed as
hash4j's streams do: UTF-16, then the number of its units.
"""

from struct import Struct
from typing import Final

_M64: Final = (1 << 64) - 1
_P32: Final = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
_P64: Final = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_SECRET: Final = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
_STRIPE: Final = 64
_STRIPES_PER_BLOCK: Final = (len(_SECRET) - _STRIPE) // 8
_BLOCK: Final = _STRIPE * _STRIPES_PER_BLOCK
_EIGHT: Final = Struct("<8Q")
_TWO: Final = Struct("<2Q")


def xxh3_64(data: bytes) -> int:
    """A signed 64-bit hash, as Java prints it."""
    size = len(data)
    if size <= 16:
        value = _upto_16(data, size)
    elif size <= 128:
        value = _upto_128(data, size)
    elif size <= 240:
        value = _upto_240(data, size)
    else:
        value = _long(data, size)
    return value - (1 << 64) if value >> 63 else value


def int32(value: int) -> bytes:
    return value.to_bytes(4, "little", signed=True)


def int64(value: int) -> bytes:
    return value.to_bytes(8, "little", signed=True)


def string(text: str) -> bytes:
    raw = text.encode("utf-16-le", "surrogatepass")
    return raw + int32(len(raw) // 2)


def _read32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _read64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _fold(left: int, right: int) -> int:
    product = left * right
    return (product & _M64) ^ (product >> 64)


def _avalanche(value: int) -> int:
    value ^= value >> 37
    value = value * 0x165667919E3779F9 & _M64
    return value ^ value >> 32


def _avalanche_64(value: int) -> int:
    """The one of XXH64."""
    value ^= value >> 33
    value = value * _P64[1] & _M64
    value ^= value >> 29
    value = value * _P64[2] & _M64
    return value ^ value >> 32


def _upto_16(data: bytes, size: int) -> int:
    if size > 8:
        low = _read64(data, 0) ^ _read64(_SECRET, 24) ^ _read64(_SECRET, 32)
        high = _read64(data, size - 8) ^ _read64(_SECRET, 40) ^ _read64(_SECRET, 48)
        swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
        return _avalanche(size + swapped + high + _fold(low, high) & _M64)
    if size >= 4:
        value = _read32(data, size - 4) + (_read32(data, 0) << 32)
        value ^= _read64(_SECRET, 8) ^ _read64(_SECRET, 16)
        return _rrmxmx(value, size)
    if size:
        value = data[0] << 16 | data[size >> 1] << 24 | data[size - 1] | size << 8
        return _avalanche_64(value ^ _read32(_SECRET, 0) ^ _read32(_SECRET, 4))
    return _avalanche_64(_read64(_SECRET, 56) ^ _read64(_SECRET, 64))


def _rrmxmx(value: int, size: int) -> int:
    value ^= (value << 49 | value >> 15) & _M64 ^ (value << 24 | value >> 40) & _M64
    value = value * 0x9FB21C651E98DF25 & _M64
    value ^= (value >> 35) + size
    value = value * 0x9FB21C651E98DF25 & _M64
    return value ^ value >> 28


def _mix_16(data: bytes, at: int, secret_at: int) -> int:
    return _fold(
        _read64(data, at) ^ _read64(_SECRET, secret_at), _read64(data, at + 8) ^ _read64(_SECRET, secret_at + 8)
    )


def _upto_128(data: bytes, size: int) -> int:
    value = size * _P64[0]
    for row in range((size - 1) // 32 + 1):
        value += _mix_16(data, 16 * row, 32 * row) + _mix_16(data, size - 16 * (row + 1), 32 * row + 16)
    return _avalanche(value & _M64)


def _upto_240(data: bytes, size: int) -> int:
    value = size * _P64[0] + sum(_mix_16(data, 16 * row, 16 * row) for row in range(8))
    value = _avalanche(value & _M64)
    for row in range(8, size // 16):
        value += _mix_16(data, 16 * row, 16 * (row - 8) + 3)
    return _avalanche(value + _mix_16(data, size - 16, 136 - 17) & _M64)


def _long(data: bytes, size: int) -> int:
    acc = [_P32[2], _P64[0], _P64[1], _P64[2], _P64[3], _P32[1], _P64[4], _P32[0]]
    blocks = (size - 1) // _BLOCK
    for block in range(blocks):
        for stripe in range(_STRIPES_PER_BLOCK):
            _accumulate(acc, data, block * _BLOCK + stripe * _STRIPE, stripe * 8)
        _scramble(acc)
    rest = blocks * _BLOCK
    for stripe in range((size - 1 - rest) // _STRIPE):
        _accumulate(acc, data, rest + stripe * _STRIPE, stripe * 8)
    _accumulate(acc, data, size - _STRIPE, len(_SECRET) - _STRIPE - 7)
    value = size * _P64[0]
    for pair in range(4):
        low, high = _TWO.unpack_from(_SECRET, 11 + 16 * pair)
        value += _fold(acc[2 * pair] ^ low, acc[2 * pair + 1] ^ high)
    return _avalanche(value & _M64)


def _accumulate(acc: list[int], data: bytes, at: int, secret_at: int) -> None:
    keys = _EIGHT.unpack_from(_SECRET, secret_at)
    for lane, value in enumerate(_EIGHT.unpack_from(data, at)):
        key = value ^ keys[lane]
        acc[lane ^ 1] = acc[lane ^ 1] + value & _M64
        acc[lane] = acc[lane] + (key & 0xFFFFFFFF) * (key >> 32) & _M64


def _scramble(acc: list[int]) -> None:
    keys = _EIGHT.unpack_from(_SECRET, len(_SECRET) - _STRIPE)
    for lane, key in enumerate(keys):
        value = acc[lane]
        acc[lane] = (value ^ value >> 47 ^ key) * _P32[0] & _M64
