"""XXH32 with seed 0, of less than 16 bytes: the checksum in the header of an LZ4 frame."""

_MASK = 0xFFFFFFFF
_PRIME_1, _PRIME_2, _PRIME_3, _PRIME_4, _PRIME_5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
LONGEST = 15


def xxh32(data: bytes) -> int:
    """Raises ValueError for more than 15 bytes: no frame header is longer, and Python is slow at this."""
    if len(data) > LONGEST:
        raise ValueError(f"{len(data)} bytes are more than {LONGEST}")
    value = _PRIME_5 + len(data)
    whole = len(data) // 4 * 4
    for pos in range(0, whole, 4):
        value = value + int.from_bytes(data[pos : pos + 4], "little") * _PRIME_3 & _MASK
        value = _rotate(value, 17) * _PRIME_4 & _MASK
    for byte in data[whole:]:
        value = value + byte * _PRIME_5 & _MASK
        value = _rotate(value, 11) * _PRIME_1 & _MASK
    value = (value ^ value >> 15) * _PRIME_2 & _MASK
    value = (value ^ value >> 13) * _PRIME_3 & _MASK
    return value ^ value >> 16


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _MASK
