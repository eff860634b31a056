"""All 8,120 golden lines of wire/ and persist/: both ways, byte for byte; every strict prefix is refused."""

from typing import Any

import pytest

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.coordinator_records import frame_key, frame_value, parse_key, parse_value
from pykbroker.protocol.json_form import from_json, tags_from_json, tags_to_json, to_json
from pykbroker.protocol.message import Message
from pykbroker.protocol.metadata_records import frame_record, parse_record
from tests.protocol.vectors import LINES, all_lines, class_of, files, label, lines_of


def decode_whole(line: dict[str, Any]) -> Message:
    raw = bytes.fromhex(line["hex"])
    message, end = class_of(line).decode(raw, line["version"])
    assert end == len(raw), label(line)
    return message


def test_there_are_all_lines() -> None:
    assert sum(1 for _ in all_lines()) == LINES


@pytest.mark.parametrize("name", files())
def test_decode_and_encode(name: str) -> None:
    for line in lines_of(name):
        message = decode_whole(line)
        assert message.encode(line["version"]).hex() == line["hex"], label(line)


@pytest.mark.parametrize("name", files())
def test_json_form(name: str) -> None:
    """The JSON of the line becomes its bytes, and its bytes become the JSON; unknown tagged fields beside it."""
    for line in lines_of(name):
        version = line["version"]
        message = decode_whole(line)
        assert to_json(message, version) == line["json"], label(line)
        assert tags_to_json(message.unknown_tags or []) == line.get("unknown_tags", []), label(line)
        built = from_json(type(message).__name__, version, line["json"])
        built.unknown_tags = tags_from_json(line.get("unknown_tags", []))
        assert built.encode(version).hex() == line["hex"], label(line)
        assert built == message, label(line)


@pytest.mark.parametrize("name", files())
def test_every_strict_prefix_is_refused(name: str) -> None:
    """All 839,755 of them: nothing but MalformedFrame comes out, with a position inside the prefix."""
    for line in lines_of(name):
        raw = bytes.fromhex(line["hex"])
        decode, version = class_of(line).decode, line["version"]
        for size in range(len(raw)):
            position = -1
            try:
                decode(raw[:size], version)
            except MalformedFrame as error:
                position = error.position
            assert 0 <= position <= size, f"{label(line)}: {size} of {len(raw)} bytes: {position}"


@pytest.mark.parametrize("name", files())
def test_trailing_bytes_and_positions(name: str) -> None:
    """Bytes before and behind a message are not its own, whatever kind of buffer it lies in."""
    for line in lines_of(name):
        raw = bytes.fromhex(line["hex"])
        message = decode_whole(line)
        for buffer in (bytearray(b"\x01\x02\x03" + raw + b"\x04\x05"), memoryview(b"\x01\x02\x03" + raw + b"\x04\x05")):
            assert class_of(line).decode(buffer, line["version"], 3) == (message, 3 + len(raw)), label(line)


@pytest.mark.parametrize("name", files())
def test_in_every_other_version(name: str) -> None:
    """A message of one version in all others: refused, because a field would be lost, or it comes back as sent."""
    for line in lines_of(name):
        if line["case"] not in ("full", "nulls", "default"):
            continue
        message = decode_whole(line)
        message.unknown_tags = None
        for version in range(message.MIN_VERSION, message.MAX_VERSION + 1):
            try:
                raw = message.encode(version)
            except KafkaError:
                continue
            again, end = type(message).decode(raw, version)
            assert (end, again.encode(version)) == (len(raw), raw), f"{label(line)} in version {version}"


FRAMED = [name for name in files() if name.startswith("persist/")]
COORDINATORS = {"group-coordinator": "group", "share-coordinator": "share", "transaction-coordinator": "transaction"}


@pytest.mark.parametrize("name", FRAMED)
def test_framed_records(name: str) -> None:
    """The value or key as it stands in the log."""
    stem = name.removeprefix("persist/").removesuffix(".jsonl.gz")
    for line in lines_of(name):
        if "framed" not in line:
            continue
        message, version = decode_whole(line), line["version"]
        framed = bytes.fromhex(line["framed"])
        if line["type"] == "metadata":
            assert frame_record(message, version) == framed
            assert parse_record(framed, stem) == (message, version)
        elif line["type"] == "coordinator-key":
            assert frame_key(message) == framed
            assert parse_key(COORDINATORS[stem], framed) == message
        else:
            assert frame_value(message, version) == framed
            assert parse_value(COORDINATORS[stem], key_of(message), framed) == (message, version)


def key_of(value: Message) -> Message:
    """Some key of the same record type: it tells which schema the value has."""

    class Key(Message):
        API_KEY = value.API_KEY

    return Key()
