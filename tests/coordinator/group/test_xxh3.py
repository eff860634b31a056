"""XXH3 as hash4j computes it, which Kafka uses."""

import pytest

from pykbroker.coordinator.group.xxh3 import int32, int64, string, xxh3_64

# Hashes of the bytes 7 i + 3, by length: hash4j 0.22.0.
VECTORS = {
    0: 3244421341483603138,
    1: 1433843135270481901,
    3: -6266602912829716452,
    4: 7895465118229274323,
    8: 6941064856527638883,
    9: -72226354546400344,
    16: -5131753158909839995,
    17: 8163341949877205007,
    31: -1350609124411935565,
    100: -5362810412169982817,
    128: 7440608504995537343,
    129: -4150982730466284604,
    200: 8389308914288017243,
    240: 7229805477010515663,
    241: -8364630114420064745,
    1024: -7241394453710343503,
    1025: -9192937061388044938,
    1088: 3424848841118183642,
    5000: 8762507191635236893,
}


@pytest.mark.parametrize("size", list(VECTORS))
def test_vectors(size: int) -> None:
    assert xxh3_64(bytes((7 * i + 3) & 255 for i in range(size))) == VECTORS[size]


def test_what_is_put_into_a_stream() -> None:
    assert xxh3_64(string("tøpic")) == 4158179685477018493
    assert xxh3_64(int64(12345678901234) + int64(-5)) == 600724202253367584
    mixed = b"\0" + int64(1) + int64(2) + string("t") + int32(2) + int32(0) + int32(1)
    assert xxh3_64(mixed) == -6925700342849788563
