"""Lengths and counts that lie: MalformedFrame (or another message), and no memory for bytes that are not there."""

import tracemalloc
from typing import Any

import pytest

from pykbroker.errors import MalformedFrame
from pykbroker.protocol.message import Message
from tests.protocol.vectors import all_lines, class_of, label

# What every length could be replaced by: int32 and varint maxima, -1, a large int16, a string over Kafka's limit.
LIES = [bytes.fromhex(text) for text in ("7fffffff", "ffffffff07", "ffffffff", "7fff", "ffff7f")]
# A message of this size costs less than this per byte once decoded, whatever its counts say.
BYTES_PER_BYTE = 120
BYTES_FIXED = 16_000


def samples() -> list[dict[str, Any]]:
    """The fullest line of every message in its lowest, highest and first flexible version."""
    chosen: dict[tuple[str, int], dict[str, Any]] = {}
    for line in all_lines():
        message = class_of(line)
        versions = (message.MIN_VERSION, message.MAX_VERSION, message.FLEXIBLE_FROM)
        if line["case"] == "full" and line["version"] in versions:
            chosen[message.__name__, line["version"]] = line
    return list(chosen.values())


def decode(message: type[Message], raw: bytes, version: int, what: str) -> None:
    try:
        _, position = message.decode(raw, version)
    except MalformedFrame as error:
        position = error.position
    assert 0 <= position <= len(raw), what


@pytest.mark.parametrize("lie", LIES, ids=bytes.hex)
def test_lies_at_every_position(lie: bytes) -> None:
    """Nothing escapes but MalformedFrame."""
    for line in samples():
        message, version, raw = class_of(line), line["version"], bytes.fromhex(line["hex"])
        for at in range(len(raw)):
            decode(message, raw[:at] + lie + raw[at + len(lie) :], version, f"{label(line)} at {at}")


@pytest.mark.parametrize("lie", LIES[:2], ids=bytes.hex)
def test_lies_cost_no_memory(lie: bytes) -> None:
    """No decode reserves more than the bytes there are worth: at every eighth position, as tracing is slow."""
    tracemalloc.start()
    try:
        for index, line in enumerate(samples()):
            message, version, raw = class_of(line), line["version"], bytes.fromhex(line["hex"])
            for at in range(index % 8, len(raw), 8):
                damaged = raw[:at] + lie + raw[at + len(lie) :]
                tracemalloc.reset_peak()
                before, _ = tracemalloc.get_traced_memory()
                decode(message, damaged, version, f"{label(line)} at {at}")
                _, peak = tracemalloc.get_traced_memory()
                assert peak - before < BYTES_FIXED + BYTES_PER_BYTE * len(damaged), f"{label(line)} at {at}"
    finally:
        tracemalloc.stop()


def test_every_byte_flipped() -> None:
    """Each byte of each sample in turn: zeroed, and its highest bit turned."""
    for line in samples():
        message, version, raw = class_of(line), line["version"], bytearray.fromhex(line["hex"])
        for at, byte in enumerate(raw):
            for changed in (0, byte ^ 128):
                raw[at] = changed
                decode(message, bytes(raw), version, f"{label(line)} at {at}")
            raw[at] = byte


def test_arrays_of_the_smallest_elements_stay_in_proportion() -> None:
    """A frame full of empty elements is the worst that bytes which are really there can do."""
    from pykbroker.protocol.messages.metadata import MetadataRequest

    count = 50_000
    raw = count.to_bytes(4, "big") + bytes(2 * count)
    tracemalloc.start()
    try:
        request, _ = MetadataRequest.decode(raw, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert request.topics is not None
    assert len(request.topics) == count
    assert peak < BYTES_FIXED + BYTES_PER_BYTE * len(raw)
