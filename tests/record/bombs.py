"""Small data that says, or really is, a gigabyte when decompressed; run as a script, what we do with it.

`python -m tests.record.bombs` prints a JSON line for each bomb: its name, the exception that it met, and how many KiB
the process has grown meanwhile. The address space is limited to little more than the process has.
"""

import ctypes
import json
import resource
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard
from cramjam import snappy
from lz4 import block, frame

from pykbroker.errors import KafkaError
from pykbroker.record.compression import Codec, decompress
from pykbroker.record.xxhash32 import xxh32

MIB = 1 << 20
GIB = 1 << 30
LIMIT = MIB
HEADROOM = 192 * MIB  # zstd reserves a window of 128 MiB where a frame asks for it
XERIAL = b"\x82SNAPPY\x00" + bytes([0, 0, 0, 1, 0, 0, 0, 1])


def gzip_gigabyte() -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = deflate.compress(bytes(MIB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08" + bytes(7) + piece * 1024


def gzip_members() -> bytes:
    """Many members, each below the limit."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    member = compressor.compress(bytes(MIB // 2)) + compressor.flush()
    return member * 2048


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def snappy_announced() -> bytes:
    """A raw block: a size and nothing of it."""
    return varint(GIB) + b"\x00a"


def snappy_real() -> bytes:
    """A raw block that truly holds the 32 MiB that it announces."""
    return bytes(snappy.compress_raw(bytes(32 * MIB)))


def xerial_announced() -> bytes:
    piece = varint(GIB) + b"\x00a"
    return XERIAL + (len(piece).to_bytes(4, "big") + piece) * 10


def xerial_blocks() -> bytes:
    """Each below the limit."""
    piece = bytes(snappy.compress_raw(bytes(MIB // 2)))
    return XERIAL + (len(piece).to_bytes(4, "big") + piece) * 128


def lz4_frame(flags: int, size: bytes, checksum: bytes) -> bytes:
    descriptor = bytes([flags, 0x70]) + size  # blocks of 4 MiB
    piece: bytes = block.compress(bytes(4 * MIB), store_size=False)
    header = (0x184D2204).to_bytes(4, "little") + descriptor + bytes([xxh32(descriptor) >> 8 & 0xFF])
    return header + (len(piece).to_bytes(4, "little") + piece + checksum) * 256


def lz4_gigabyte() -> bytes:
    return lz4_frame(0x60, b"", b"")


def lz4_announced() -> bytes:
    return lz4_frame(0x68, (1 << 60).to_bytes(8, "little"), b"")


def lz4_with_block_checksums() -> bytes:
    options: dict[str, Any] = {"block_size": frame.BLOCKSIZE_MAX4MB, "block_linked": False, "block_checksum": True}
    data: bytes = frame.compress(bytes(64 * MIB), **options)
    return data


def zstd_frame(descriptor: int, rest: bytes) -> bytes:
    """RLE blocks of 128 KiB, four bytes each."""
    run = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"\x00"
    return (0xFD2FB528).to_bytes(4, "little") + bytes([descriptor]) + rest + run * 8192


def zstd_gigabyte() -> bytes:
    return zstd_frame(0x00, bytes([17 << 3]))  # window 128 MiB


def zstd_announced() -> bytes:
    return zstd_frame(0xE0, (1 << 50).to_bytes(8, "little"))  # a single segment: the window is the content


def zstd_largest_window() -> bytes:
    return zstd_frame(0x00, bytes([0xFF]))


def zstd_frames() -> bytes:
    return zstandard.ZstdCompressor().compress(bytes(MIB // 2)) * 2048


BOMBS: dict[Codec, list[Callable[[], bytes]]] = {
    Codec.GZIP: [gzip_gigabyte, gzip_members],
    Codec.SNAPPY: [snappy_announced, snappy_real, xerial_announced, xerial_blocks],
    Codec.LZ4: [lz4_gigabyte, lz4_announced, lz4_with_block_checksums],
    Codec.ZSTD: [zstd_gigabyte, zstd_announced, zstd_largest_window, zstd_frames],
}


def address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def refused() -> Iterator[dict[str, object]]:
    bombs = [(codec, build.__name__, build()) for codec, builds in BOMBS.items() for build in builds]
    ctypes.CDLL(None).malloc_trim(0)  # what building them freed would hide what is taken
    limit = address_space() + HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for codec, name, data in bombs:
        before = start_peak()
        try:
            decompress(codec, data, LIMIT)
            error = "nothing"
        except (KafkaError, MemoryError) as raised:
            error = type(raised).__name__
        yield {"name": name, "bytes": len(data), "error": error, "grown_kib": peak() - before}


def start_peak() -> int:
    """Forgets the largest resident size so far; returns it as it is now, in KiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


if __name__ == "__main__":
    for line in refused():
        print(json.dumps(line))
