"""The codecs of record batches. Decompressed size is bounded before it is allocated, in every codec.

Kafka's counterparts: CompressionType, GzipCompression, SnappyCompression (xerial's framing), Lz4Compression
(Lz4BlockOutputStream: the LZ4 frame format), ZstdCompression. KIP-110 for zstd, KIP-390 for levels.
The libraries are imported when first used: a broker that only passes batches on needs none of them.
"""

import zlib
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from pykbroker.record.damage import TooLargeDecompressed, Undecompressable

Buffer = bytes | bytearray | memoryview

# Records of one batch may grow to this when nobody says otherwise: Kafka's largest possible frame.
DEFAULT_LIMIT = 104_857_600
CHUNK = 65_536


class Codec(IntEnum):
    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


CODEC_NAMES = {codec.name.lower(): codec for codec in Codec}
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + (1).to_bytes(4, "big") * 2
_XERIAL_BLOCK = 32_768
_ZSTD_PIECE = 1024
_GZIP_HEADER = 10
_GZIP_PIECE = 16
_ZSTD_MAX_WINDOW = 1 << 27  # 128 MiB, what zstd-jni accepts by default


def compress(codec: int, data: Buffer, level: int | None = None) -> bytes:
    """Raises Undecompressable for an unknown codec. `level` as in Kafka's compression.*.level; None is its default."""
    if codec == Codec.NONE:
        return bytes(data)
    try:
        function = _COMPRESS[codec]
    except KeyError:
        raise Undecompressable(f"Unknown compression type id: {codec}") from None
    return function(data, level)


def decompress(codec: int, data: Buffer, limit: int = DEFAULT_LIMIT) -> Buffer:
    """The whole decompressed data. Raises TooLargeDecompressed over `limit` bytes, Undecompressable for damage."""
    if codec == Codec.NONE:
        return data
    try:
        function = _DECOMPRESS[codec]
    except KeyError:
        raise Undecompressable(f"Unknown compression type id: {codec}") from None
    return function(data, limit)


def _gzip(data: Buffer, level: int | None) -> bytes:
    compressor = zlib.compressobj(-1 if level is None else level, zlib.DEFLATED, 31)
    return compressor.compress(data) + compressor.flush()


def _gunzip(data: Buffer, limit: int) -> bytes:
    out = bytearray()
    rest: Buffer = data
    while rest:
        stream = zlib.decompressobj(31)
        try:
            # In pieces, so that damage leaves what was before it, as Java's stream does.
            while not stream.eof and rest:
                out += stream.decompress(rest, min(CHUNK, limit - len(out) + 1))
                rest = stream.unconsumed_tail
                if len(out) > limit:
                    raise TooLargeDecompressed(limit)
        except zlib.error as error:
            raise Undecompressable(f"gzip: {error}", bytes(out) or _before_damage(data, limit)) from None
        if not stream.eof:
            raise Undecompressable("gzip: the data ends too early", bytes(out))
        rest = stream.unused_data
        if bytes(rest[:2]) != b"\x1f\x8b":  # what follows is no further gzip member: Java's stream ends here too
            break
    return bytes(out)


def _before_damage(data: Buffer, limit: int) -> bytes:
    """What zlib keeps to itself when the damage comes in the same call: the stream again, bare and in small pieces."""
    stream = zlib.decompressobj(-15)
    out = bytearray()
    for position in range(_GZIP_HEADER, len(data), _GZIP_PIECE):
        try:
            out += stream.decompress(data[position : position + _GZIP_PIECE], limit - len(out) + 1)
        except zlib.error:
            break
        if len(out) > limit:
            break
    return bytes(out)


def _snappy(data: Buffer, level: int | None) -> bytes:
    from cramjam import snappy

    out = bytearray(_XERIAL_HEADER)
    view = memoryview(data)
    for start in range(0, len(view), _XERIAL_BLOCK):
        block = bytes(snappy.compress_raw(view[start : start + _XERIAL_BLOCK]))
        out += len(block).to_bytes(4, "big")
        out += block
    return bytes(out)


def _unsnappy(data: Buffer, limit: int) -> bytes:
    """xerial's framing, or one raw block as librdkafka sends: snappy-java falls back to that as well."""
    view = memoryview(data)
    if view[:8] != _XERIAL_MAGIC:
        return _snappy_block(view, limit)
    out = bytearray()
    pos = 16
    while pos < len(view):
        if view[pos : pos + 8] == _XERIAL_MAGIC:  # concatenated streams
            pos += 16
            continue
        length = int.from_bytes(view[pos : pos + 4], "big", signed=True)
        pos += 4
        if not 0 <= length <= len(view) - pos:
            raise Undecompressable("snappy: a block is longer than the data")
        out += _snappy_block(view[pos : pos + length], limit - len(out))
        pos += length
    return bytes(out)


def _snappy_block(block: memoryview, limit: int) -> bytes:
    from cramjam import DecompressionError, snappy

    try:
        announced = snappy.decompress_raw_len(block)
        if announced > limit:
            raise TooLargeDecompressed(limit)
        # A token makes at most 64 bytes of three: an announced size beyond that is a lie, allocate nothing for it.
        if announced > 32 * len(block) + 64:
            raise Undecompressable("snappy: the announced size cannot come out of so few bytes")
        return bytes(snappy.decompress_raw(block))
    except DecompressionError as error:
        raise Undecompressable(f"snappy: {error}") from None


def _lz4(data: Buffer, level: int | None) -> bytes:
    from lz4 import frame

    # As Kafka's Lz4BlockOutputStream: independent 64 KiB blocks, no checksums, no content size.
    compressed: bytes = frame.compress(
        data,
        compression_level=0 if level is None or level < 3 else level,
        block_size=frame.BLOCKSIZE_MAX64KB,
        block_linked=False,
        content_checksum=False,
        block_checksum=False,
        store_size=False,
    )
    return compressed


def _unlz4(data: Buffer, limit: int) -> bytes:
    from lz4 import frame

    return _bounded("lz4", frame.LZ4FrameDecompressor(), data, limit, (RuntimeError, EOFError, ValueError))


def _bounded(name: str, stream: Any, data: Buffer, limit: int, errors: tuple[type[Exception], ...]) -> bytes:
    """Drives a decompressor with bz2's interface, never asking for more than one byte over the limit."""
    out = bytearray()
    rest = bytes(data)
    try:
        while not stream.eof:
            piece = stream.decompress(rest, min(limit - len(out) + 1, 1 << 20))
            rest = b""
            out += piece
            if len(out) > limit:
                raise TooLargeDecompressed(limit)
            if not piece and stream.needs_input:
                raise Undecompressable(f"{name}: the data ends too early")
    except errors as error:
        raise Undecompressable(f"{name}: {error}") from None
    return bytes(out)


def _zstd(data: Buffer, level: int | None) -> bytes:
    from zstandard import ZstdCompressor

    # Kafka's stream does not know the size beforehand, so its frames carry none.
    return ZstdCompressor(level=3 if level is None else level, write_content_size=False).compress(data)


def _unzstd(data: Buffer, limit: int) -> bytes:
    """Fed in small pieces, because one call gives out all that its input makes: at most 32 MiB for a piece."""
    from zstandard import ZstdDecompressor, ZstdError

    out = bytearray()
    view = memoryview(data)
    decompressor = ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW)
    pos = 0
    try:
        while pos < len(view):
            stream = decompressor.decompressobj()
            while not stream.eof:
                if pos >= len(view):
                    raise Undecompressable("zstd: the data ends too early", bytes(out))
                piece = view[pos : pos + _ZSTD_PIECE]
                out += stream.decompress(piece)
                pos += len(piece)
                if len(out) > limit:
                    raise TooLargeDecompressed(limit)
            pos -= len(stream.unused_data)
    except (ZstdError, MemoryError) as error:
        raise Undecompressable(f"zstd: {error}", bytes(out)) from None
    return bytes(out)


_COMPRESS: dict[int, Callable[[Buffer, int | None], bytes]] = {1: _gzip, 2: _snappy, 3: _lz4, 4: _zstd}
_DECOMPRESS: dict[int, Callable[[Buffer, int], bytes]] = {1: _gunzip, 2: _unsnappy, 3: _unlz4, 4: _unzstd}
