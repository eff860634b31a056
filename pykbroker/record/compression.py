"""The codecs of record batches. Decompressed size is bounded before it is allocated, in every codec.

Kafka's counterparts: CompressionType, GzipCompression, SnappyCompression (xerial's framing), Lz4Compression
(Lz4BlockOutputStream: the LZ4 frame format), ZstdCompression. KIP-110 for zstd, KIP-390 for levels.
The libraries are imported when first used: a broker that only passes batches on needs none of them.
"""

import zlib
from collections.abc import Callable
from enum import IntEnum
from struct import Struct

from pykbroker.record.damage import TooLargeDecompressed, Undecompressable
from pykbroker.record.xxhash32 import xxh32

Buffer = bytes | bytearray | memoryview

# Records of one batch may grow to this when nobody says otherwise: Kafka's largest possible frame.
DEFAULT_LIMIT = 104_857_600


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
_ZSTD_CHUNK = 16_384
_ZSTD_SKIPPABLE_MAGIC = 0x184D2A50
_ZSTD_RLE = 1
_LZ4_MAGIC = (0x184D2204).to_bytes(4, "little")
_LZ4_INDEPENDENT, _LZ4_BLOCK_CHECKSUM, _LZ4_CONTENT_SIZE, _LZ4_CONTENT_CHECKSUM = 0x20, 0x10, 0x08, 0x04
# Java's reads of compressed and of decompressed bytes: damage takes what was made in the same read with it.
_GZIP_PIECE = 8192
_GZIP_CHUNK = 16_384
_GZIP_HEADER = 10
_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_TRAILER = Struct("<II")
_GZIP_SHORTEST_MEMBER = 18
_SNAPPY_CHUNK = 2048
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
    """Members one behind the other; what follows and is none is ignored, as java.util.zip.GZIPInputStream does."""
    out = bytearray()
    view = memoryview(data)
    pos = _gzip_header_end(view, 0)
    if pos is None:
        raise Undecompressable("gzip: no header")
    while pos is not None:
        start = len(out)
        pos = _inflate(view, pos, out, limit)
        trailer = bytes(view[pos : pos + _GZIP_TRAILER.size])
        if len(trailer) < _GZIP_TRAILER.size:
            raise Undecompressable("gzip: the data ends too early", bytes(out))
        if _GZIP_TRAILER.unpack(trailer) != (zlib.crc32(memoryview(out)[start:]), len(out) - start & 0xFFFFFFFF):
            raise Undecompressable("gzip: wrong checksum or size", bytes(out))
        pos += _GZIP_TRAILER.size
        pos = _gzip_header_end(view, pos) if len(view) - pos > _GZIP_SHORTEST_MEMBER else None
    return bytes(out)


def _inflate(view: memoryview, pos: int, out: bytearray, limit: int) -> int:
    """Appends one deflate stream to `out`; the position behind it. What one call made is lost with its damage, as in
    Java, so the pieces are Java's."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    rest: Buffer = b""
    try:
        while not stream.eof:
            if not rest:
                rest = view[pos : pos + _GZIP_PIECE]
                pos += len(rest)
            piece = stream.decompress(rest, min(_GZIP_CHUNK, limit - len(out) + 1))
            out += piece
            if len(out) > limit:
                raise TooLargeDecompressed(limit)
            rest = stream.unconsumed_tail
            if not piece and not rest and pos >= len(view) and not stream.eof:
                raise Undecompressable("gzip: the data ends too early", bytes(out))
    except zlib.error as error:
        raise Undecompressable(f"gzip: {error}", bytes(out)) from None
    return pos - len(stream.unused_data)


def _gzip_header_end(view: memoryview, pos: int) -> int | None:
    """RFC 1952; None when there is no whole header."""
    if len(view) < pos + _GZIP_HEADER or bytes(view[pos : pos + 3]) != _GZIP_MAGIC:
        return None
    flags = view[pos + 3]
    start, pos = pos, pos + _GZIP_HEADER
    if flags & 4:
        pos += 2 + int.from_bytes(view[pos : pos + 2], "little")
    for flag in (8, 16):  # a name, a comment
        if flags & flag:
            while pos < len(view) and view[pos]:
                pos += 1
            pos += 1
    if flags & 2:
        if int.from_bytes(view[pos : pos + 2], "little") != zlib.crc32(view[start:pos]) & 0xFFFF:
            return None
        pos += 2
    return pos if pos <= len(view) else None


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
    if len(view) < 16:
        return _snappy_block(view, limit)
    out = bytearray()
    pos = 16
    try:
        while pos + 4 <= len(view):  # fewer bytes are no length: the stream ends, says snappy-java
            if view[pos : pos + 4] == _XERIAL_MAGIC[:4]:  # concatenated streams
                if len(view) < pos + 16:
                    raise Undecompressable("snappy: the data ends within a header")
                if view[pos : pos + 8] != _XERIAL_MAGIC:
                    break
                pos += 16
                continue
            length = int.from_bytes(view[pos : pos + 4], "big", signed=True)
            pos += 4
            if not 0 <= length <= len(view) - pos:
                raise Undecompressable("snappy: a block is longer than the data")
            out += _snappy_block(view[pos : pos + length], limit - len(out))
            pos += length
    except Undecompressable as error:
        error.partial = bytes(out[: len(out) // _SNAPPY_CHUNK * _SNAPPY_CHUNK])
        raise
    return bytes(out)


def _snappy_block(block: memoryview, limit: int) -> bytes:
    from cramjam import DecompressionError, snappy

    try:
        announced = snappy.decompress_raw_len(block)
        # A token makes at most 64 bytes of three: an announced size beyond that is a lie, allocate nothing for it.
        if announced > 32 * len(block) + 64:
            raise Undecompressable("snappy: the announced size cannot come out of so few bytes")
        if announced > limit:
            raise TooLargeDecompressed(limit)
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
    """Block by block as Kafka's Lz4BlockInputStream: one frame of independent blocks, what follows is ignored."""
    from lz4.block import LZ4BlockError
    from lz4.block import decompress as decompress_block

    view = memoryview(data)
    pos, flags, block_limit = _lz4_header(view)
    if flags & _LZ4_BLOCK_CHECKSUM:  # none of Kafka's clients writes it, and the library knows the hash
        return _unlz4_frame(view, limit)
    out = bytearray()
    while True:
        word = int.from_bytes(view[pos : pos + 4], "little")
        size = word & 0x7FFFFFFF
        if len(view) < pos + 4 or size > min(block_limit, len(view) - pos - 4):
            raise Undecompressable("lz4: a block is longer than the data or than blocks may be", bytes(out))
        if size == 0:
            if flags & _LZ4_CONTENT_CHECKSUM and len(view) < pos + 8:  # Kafka does not verify it
                raise Undecompressable("lz4: the data ends too early", bytes(out))
            return bytes(out)
        block = view[pos + 4 : pos + 4 + size]
        pos += 4 + size
        try:
            if word == size:
                # A byte makes at most 255: nothing is allocated for what a small block cannot be.
                piece: Buffer = decompress_block(block, uncompressed_size=min(block_limit, 255 * size))
            else:
                piece = block
        except LZ4BlockError as error:
            raise Undecompressable(f"lz4: {error}", bytes(out)) from None
        if len(out) + len(piece) > limit:
            raise TooLargeDecompressed(limit)
        out += piece


def _lz4_header(view: memoryview) -> tuple[int, int, int]:
    """Position behind the frame's header, its flags, its largest block. Raises Undecompressable."""
    if len(view) < 7 or view[:4] != _LZ4_MAGIC:
        raise Undecompressable("lz4: no frame")
    flags, block = view[4], view[5]
    end = 14 if flags & _LZ4_CONTENT_SIZE else 6
    if flags >> 6 != 1 or flags & 0x03 or not flags & _LZ4_INDEPENDENT or block & 0x8F or not 4 <= block >> 4 <= 7:
        raise Undecompressable("lz4: flags that Kafka does not know")
    if len(view) <= end or view[end] != xxh32(bytes(view[4:end])) >> 8 & 0xFF:
        raise Undecompressable("lz4: the frame's header has another checksum")
    return end + 1, flags, 1 << 2 * (block >> 4) + 8


def _unlz4_frame(view: memoryview, limit: int) -> bytes:
    from lz4.frame import LZ4FrameDecompressor

    stream = LZ4FrameDecompressor()
    out = bytearray()
    rest = bytes(view)
    try:
        while not stream.eof:
            piece = stream.decompress(rest, min(limit - len(out) + 1, 1 << 20))
            rest = b""
            out += piece
            if len(out) > limit:
                raise TooLargeDecompressed(limit)
            if not piece and stream.needs_input:
                raise Undecompressable("lz4: the data ends too early", bytes(out))
    except (RuntimeError, EOFError, ValueError) as error:
        raise Undecompressable(f"lz4: {error}", bytes(out)) from None
    return bytes(out)


def _zstd(data: Buffer, level: int | None) -> bytes:
    from zstandard import ZstdCompressor

    # Kafka's stream does not know the size beforehand, so its frames carry none.
    return ZstdCompressor(level=3 if level is None else level, write_content_size=False).compress(data)


def _unzstd(data: Buffer, limit: int) -> bytes:
    """Frame by frame and in Java's pieces: a reader of the library bounds them, but does not tell where frames end."""
    from zstandard import ZstdDecompressor, ZstdError

    view = memoryview(data)
    out = bytearray()
    decompressor = ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW)
    pos = 0
    while pos < len(view):
        end = _zstd_frame_end(view, pos)
        reader = decompressor.stream_reader(view[pos:end])
        try:
            while piece := reader.read(min(_ZSTD_CHUNK, limit - len(out) + 1)):
                out += piece
                if len(out) > limit:
                    raise TooLargeDecompressed(limit)
        except (ZstdError, MemoryError) as error:
            raise Undecompressable(f"zstd: {error}", bytes(out)) from None
        if end is None:
            raise Undecompressable("zstd: the data ends too early", bytes(out))
        pos = end
    return bytes(out)


def _zstd_frame_end(view: memoryview, pos: int) -> int | None:
    """From block header to block header (RFC 8878), nothing decompressed; None when the data ends before the frame."""
    if len(view) < pos + 8:
        return None
    if int.from_bytes(view[pos : pos + 4], "little") & ~0xF == _ZSTD_SKIPPABLE_MAGIC:
        pos += 8 + int.from_bytes(view[pos + 4 : pos + 8], "little")
        return pos if pos <= len(view) else None
    descriptor = view[pos + 4]
    is_single_segment = descriptor >> 5 & 1
    size_of_size = (is_single_segment, 2, 4, 8)[descriptor >> 6]
    pos += 6 - is_single_segment + (0, 1, 2, 4)[descriptor & 3] + size_of_size
    is_last = False
    while not is_last:
        if pos + 3 > len(view):
            return None
        block = int.from_bytes(view[pos : pos + 3], "little")
        is_last = bool(block & 1)
        pos += 3 + (1 if block >> 1 & 3 == _ZSTD_RLE else block >> 3)
    pos += 4 if descriptor & 4 else 0
    return pos if pos <= len(view) else None


_COMPRESS: dict[int, Callable[[Buffer, int | None], bytes]] = {1: _gzip, 2: _snappy, 3: _lz4, 4: _zstd}
_DECOMPRESS: dict[int, Callable[[Buffer, int], bytes]] = {1: _gunzip, 2: _unsnappy, 3: _unlz4, 4: _unzstd}
