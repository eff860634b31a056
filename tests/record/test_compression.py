"""The codecs: what is compressed comes out again, in every framing that clients send; damage and limits are told."""

import gzip
import zlib

import pytest
import zstandard
from cramjam import snappy
from hypothesis import given, settings
from hypothesis import strategies as st
from lz4 import frame

from pykbroker.record.compression import CODEC_NAMES, Codec, compress, decompress
from pykbroker.record.damage import TooLargeDecompressed, Undecompressable

CODECS = [codec for codec in Codec if codec]
DATA = b"".join(f"line {number} of {number * 7919 % 1000}\n".encode() for number in range(5000))


@pytest.mark.parametrize("codec", list(Codec))
@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(data=st.binary(max_size=300), repeated=st.integers(1, 400))
def test_what_is_compressed_comes_out_again(codec: Codec, data: bytes, repeated: int) -> None:
    whole = data * repeated
    assert bytes(decompress(codec, compress(codec, whole))) == whole
    assert bytes(decompress(codec, memoryview(compress(codec, memoryview(whole))))) == whole


@pytest.mark.parametrize("codec", CODECS)
def test_the_limit_is_exact(codec: Codec) -> None:
    compressed = compress(codec, DATA)
    assert bytes(decompress(codec, compressed, len(DATA))) == DATA
    with pytest.raises(TooLargeDecompressed):
        decompress(codec, compressed, len(DATA) - 1)


@pytest.mark.parametrize("codec", CODECS)
def test_data_that_ends_too_early_is_refused(codec: Codec) -> None:
    """But for snappy's framing, which does not say where it ends: whole blocks are all there is to it."""
    compressed = compress(codec, DATA)
    for length in [0, 1, 10, len(compressed) // 2, len(compressed) - 1]:
        if codec == Codec.ZSTD and length == 0:
            assert decompress(codec, b"") == b""  # no frame at all is no damage, to zstd-jni neither
            continue
        with pytest.raises(Undecompressable) as raised:
            decompress(codec, compressed[:length])
        assert DATA.startswith(raised.value.partial)


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_unknown_codecs(codec: int) -> None:
    with pytest.raises(Undecompressable, match=f"Unknown compression type id: {codec}"):
        decompress(codec, b"")
    with pytest.raises(Undecompressable):
        compress(codec, b"")


def test_names_are_kafkas() -> None:
    assert CODEC_NAMES == {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


@pytest.mark.parametrize(
    ("codec", "levels"), [(Codec.GZIP, [-1, 1, 9]), (Codec.LZ4, [1, 9, 17]), (Codec.ZSTD, [-5, 1, 3, 19])]
)
def test_levels(codec: Codec, levels: list[int]) -> None:
    for level in levels:
        assert bytes(decompress(codec, compress(codec, DATA, level))) == DATA
    assert len(compress(codec, DATA, levels[-1])) < len(compress(codec, DATA, levels[-2] if codec == 4 else 1))


class TestGzip:
    def test_members_follow_each_other(self) -> None:
        assert decompress(Codec.GZIP, gzip.compress(DATA) + gzip.compress(b"more")) == DATA + b"more"

    def test_what_is_no_member_is_ignored(self) -> None:
        assert decompress(Codec.GZIP, gzip.compress(DATA) + bytes(100)) == DATA

    def test_optional_fields_of_the_header(self) -> None:
        plain = gzip.compress(DATA, mtime=0)
        header = bytearray(plain[:10])
        header[3] = 4 | 8 | 16 | 2
        header += b"\x03\x00abc" + b"name\0" + b"comment\0"
        header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
        assert decompress(Codec.GZIP, bytes(header) + plain[10:]) == DATA
        header[-1] ^= 1
        with pytest.raises(Undecompressable, match="no header"):
            decompress(Codec.GZIP, bytes(header) + plain[10:])

    @pytest.mark.parametrize("position", [-1, -5])
    def test_checksum_and_size_are_verified(self, position: int) -> None:
        damaged = bytearray(gzip.compress(DATA))
        damaged[position] ^= 1
        with pytest.raises(Undecompressable, match="wrong checksum or size") as raised:
            decompress(Codec.GZIP, damaged)
        assert raised.value.partial == DATA


class TestSnappy:
    def test_a_raw_block_as_librdkafka_sends(self) -> None:
        assert decompress(Codec.SNAPPY, bytes(snappy.compress_raw(DATA))) == DATA

    def test_xerial_blocks_of_32_kib(self) -> None:
        framed = compress(Codec.SNAPPY, DATA)
        assert framed[:16] == b"\x82SNAPPY\0\0\0\0\1\0\0\0\1"
        length = int.from_bytes(framed[16:20], "big")
        assert bytes(snappy.decompress_raw(framed[20 : 20 + length])) == DATA[:32768]

    def test_concatenated_streams(self) -> None:
        assert decompress(Codec.SNAPPY, compress(Codec.SNAPPY, b"one") + compress(Codec.SNAPPY, b"two")) == b"onetwo"

    def test_a_few_bytes_behind_the_last_block_are_no_length(self) -> None:
        assert decompress(Codec.SNAPPY, compress(Codec.SNAPPY, DATA) + b"\0\0\0") == DATA

    @pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\0\x10\0\0"])
    def test_a_block_longer_than_the_data(self, length: bytes) -> None:
        with pytest.raises(Undecompressable, match="longer than the data"):
            decompress(Codec.SNAPPY, compress(Codec.SNAPPY, DATA) + length)

    def test_a_damaged_block(self) -> None:
        framed = bytearray(compress(Codec.SNAPPY, DATA))
        framed[20:24] = b"\xff\xff\xff\x01"
        with pytest.raises(Undecompressable):
            decompress(Codec.SNAPPY, framed)


class TestLz4:
    @pytest.mark.parametrize("size", [frame.BLOCKSIZE_MAX64KB, frame.BLOCKSIZE_MAX256KB, frame.BLOCKSIZE_MAX4MB])
    @pytest.mark.parametrize("checksums", [False, True])
    def test_frames_of_other_writers(self, size: int, checksums: bool) -> None:
        compressed = frame.compress(
            DATA, block_size=size, block_linked=False, content_checksum=checksums, block_checksum=checksums
        )
        assert decompress(Codec.LZ4, compressed) == DATA

    def test_blocks_that_could_not_be_compressed(self) -> None:
        noise = zlib.compress(DATA, 9)
        assert decompress(Codec.LZ4, compress(Codec.LZ4, noise)) == noise

    def test_linked_blocks_are_refused_as_kafka_does(self) -> None:
        with pytest.raises(Undecompressable, match="flags"):
            decompress(Codec.LZ4, frame.compress(DATA, block_linked=True))

    def test_a_header_with_another_checksum(self) -> None:
        damaged = bytearray(compress(Codec.LZ4, DATA))
        damaged[6] ^= 1
        with pytest.raises(Undecompressable, match="another checksum"):
            decompress(Codec.LZ4, damaged)

    def test_what_follows_the_frame_is_ignored(self) -> None:
        assert decompress(Codec.LZ4, compress(Codec.LZ4, DATA) + b"anything") == DATA

    def test_damage_in_a_block(self) -> None:
        damaged = bytearray(compress(Codec.LZ4, DATA))
        damaged[11:40] = b"\xff" * 29
        with pytest.raises(Undecompressable, match="lz4"):
            decompress(Codec.LZ4, damaged)

    def test_damage_under_a_block_checksum(self) -> None:
        damaged = bytearray(frame.compress(DATA, block_linked=False, block_checksum=True, content_checksum=False))
        damaged[100] ^= 1
        with pytest.raises(Undecompressable, match="lz4"):
            decompress(Codec.LZ4, damaged)


class TestZstd:
    def test_frames_follow_each_other_and_skippable_ones_are_skipped(self) -> None:
        skippable = (0x184D2A53).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"12345"
        compressed = compress(Codec.ZSTD, DATA)
        assert decompress(Codec.ZSTD, compressed + skippable + compressed) == DATA * 2

    @pytest.mark.parametrize("checksum", [False, True])
    @pytest.mark.parametrize("size", [False, True])
    def test_frames_of_other_writers(self, checksum: bool, size: bool) -> None:
        compressor = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=size)
        assert decompress(Codec.ZSTD, compressor.compress(DATA)) == DATA

    def test_no_size_is_written_as_kafkas_stream_cannot_know_it(self) -> None:
        assert zstandard.frame_content_size(compress(Codec.ZSTD, DATA)) == -1

    def test_damage_under_a_checksum(self) -> None:
        damaged = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(DATA))
        damaged[-1] ^= 1
        with pytest.raises(Undecompressable, match="zstd"):
            decompress(Codec.ZSTD, damaged)
