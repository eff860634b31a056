"""The function of the package crc32c, found without it and with it."""

from importlib.machinery import PathFinder

import crc32c as package
import pytest

from pykbroker.record import crc32c

# RFC 3720, B.4.
VECTORS = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (b"123456789", 0xE3069283),
]


@pytest.mark.parametrize(("data", "expected"), VECTORS)
def test_known_values(data: bytes, expected: int) -> None:
    assert crc32c.crc32c(data) == expected
    assert crc32c.crc32c(memoryview(data)[4:], crc32c.crc32c(data[:4])) == expected


def test_a_package_built_in_another_way_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PathFinder, "find_spec", lambda *_: None)
    assert crc32c._extension() is package
