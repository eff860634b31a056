"""XXH32 against values of the reference implementation."""

import pytest
from lz4 import frame

from pykbroker.record.xxhash32 import LONGEST, xxh32


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0x02CC5D05), (b"a", 0x550D7456), (b"abc", 0x32D153FF), (b"abcd", 0xA3643705)],
)
def test_reference_values(data: bytes, expected: int) -> None:
    assert xxh32(data) == expected


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_the_checksum_in_frame_headers(size: int) -> None:
    """What the LZ4 library itself puts there: of flags, block size and, where it is known, the content's size."""
    compressed = frame.compress(b"x" * size, store_size=True)
    end = 14 if compressed[4] & 0x08 else 6
    assert xxh32(compressed[4:end]) >> 8 & 0xFF == compressed[end]


def test_longer_data_is_refused() -> None:
    assert xxh32(bytes(LONGEST)) >= 0
    with pytest.raises(ValueError, match="16 bytes are more than 15"):
        xxh32(bytes(LONGEST + 1))
