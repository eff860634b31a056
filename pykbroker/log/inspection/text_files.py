"""Kafka's small text files, read strictly: what is wrong stands with its byte. (CheckpointFile, MetaProperties …)"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.inspection.report import Flaw
from pykbroker.log.log_dir import META_PROPERTIES

Value = TypeVar("Value")
_NUMBER = re.compile(rb"-?[0-9]{1,19}")
_TOPIC = re.compile(rb"[a-zA-Z0-9._-]{1,249}")


class FlawedFile(Exception):
    """The file as a whole does not say what it should."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.flaw = Flaw(position, message)


class Line(NamedTuple):
    position: int
    text: bytes

    def fields(self, count: int) -> list[bytes]:
        """Raises FlawedFile."""
        found = self.text.split(b" ")
        if len(found) != count:
            raise FlawedFile(self.position, f"{_shown(self.text)} where {count} fields are expected")
        return found

    def number(self, field: bytes) -> int:
        """Raises FlawedFile."""
        if not _NUMBER.fullmatch(field):
            raise FlawedFile(self.position, f"{_shown(field)} is no number")
        return int(field)


def lines_of(data: bytes) -> list[Line]:
    lines, position = [], 0
    for text in data.split(b"\n"):
        lines.append(Line(position, text.removesuffix(b"\r")))
        position += len(text) + 1
    if lines and not lines[-1].text:
        lines.pop()  # behind the last newline
    return lines


def read_checkpoint(data: bytes, parse: Callable[[Line], Value]) -> list[Value]:
    """Version, count, and one entry a line. An empty file has none, as for Kafka. Raises FlawedFile."""
    lines = lines_of(data)
    if not lines:
        return []
    if lines[0].number(lines[0].text) != 0:
        raise FlawedFile(0, f"unknown version {_shown(lines[0].text)}; 0 is known")
    if len(lines) < 2:
        raise FlawedFile(len(data), "the file ends before the number of entries")
    count = lines[1].number(lines[1].text)
    entries = [parse(line) for line in lines[2:]]
    if len(entries) != count:
        raise FlawedFile(lines[1].position, f"{count} entries announced, {len(entries)} found")
    if not data.endswith(b"\n"):
        raise FlawedFile(len(data), "the last line does not end")
    return entries


class OffsetLine(NamedTuple):
    position: int
    topic_partition: TopicPartition
    offset: int


def parse_offset_line(line: Line) -> OffsetLine:
    """topic partition offset. Raises FlawedFile."""
    topic, partition, offset = line.fields(3)
    if not _TOPIC.fullmatch(topic):
        raise FlawedFile(line.position, f"{_shown(topic)} is no topic's name")
    tp = TopicPartition(topic.decode(), line.number(partition))
    return OffsetLine(line.position, tp, line.number(offset))


class EpochLine(NamedTuple):
    position: int
    epoch: int
    start_offset: int


def parse_epoch_line(line: Line) -> EpochLine:
    """epoch start-offset. Raises FlawedFile."""
    epoch, offset = line.fields(2)
    return EpochLine(line.position, line.number(epoch), line.number(offset))


def epoch_flaws(entries: list[EpochLine]) -> list[Flaw]:
    """Both columns ascend."""
    flaws = []
    epoch, start = -1, -1
    for entry in entries:
        if entry.epoch <= epoch or entry.start_offset <= start:
            message = f"epoch {entry.epoch} from {entry.start_offset} does not ascend from epoch {epoch} from {start}"
            flaws.append(Flaw(entry.position, message))
        epoch, start = entry.epoch, entry.start_offset
    return flaws


def read_topic_id(data: bytes) -> Uuid:
    """Of partition.metadata. Raises FlawedFile."""
    lines = lines_of(data)
    if not lines or lines[0].text != b"version: 0":
        raise FlawedFile(0, f"{_shown(lines[0].text) if lines else 'nothing'} where version: 0 is expected")
    if len(lines) < 2 or not lines[1].text.startswith(b"topic_id: "):
        raise FlawedFile(lines[0].position + len(lines[0].text), "no topic_id")
    return parse_uuid(lines[1].position, lines[1].text.removeprefix(b"topic_id: "))


def parse_uuid(position: int, text: bytes) -> Uuid:
    """Raises FlawedFile."""
    try:
        uuid = Uuid.parse(text.decode("latin-1"))
    except ValueError as error:
        raise FlawedFile(position, str(error)) from None
    if str(uuid).encode() != text:
        raise FlawedFile(position, f"{_shown(text)} is not how a uuid is written")
    return uuid


class Property(NamedTuple):
    position: int
    value: str


def read_meta_properties(data: bytes) -> dict[str, Property]:
    """Raises FlawedFile unless it is a whole meta.properties of version 1."""
    found = {}
    for line in lines_of(data):
        if not line.text or line.text.startswith(b"#"):
            continue
        key, equals, value = line.text.decode("latin-1").partition("=")
        if not equals:
            raise FlawedFile(line.position, f"{_shown(line.text)} is no property")
        found[key.strip()] = Property(line.position, value.strip())
    if not data.endswith(b"\n"):
        raise FlawedFile(len(data), "the last line does not end")
    for name in ("version", "cluster.id", "node.id"):
        if name not in found:
            raise FlawedFile(len(data), f"{META_PROPERTIES} has no {name}")
    version, node = found["version"], found["node.id"]
    if version.value != "1":
        raise FlawedFile(version.position, f"version {version.value!r}; 1 is known")
    if not node.value.isdigit():
        raise FlawedFile(node.position, f"node.id {node.value!r} is no number")
    if "directory.id" in found:
        parse_uuid(found["directory.id"].position, found["directory.id"].value.encode("latin-1"))
    unknown = found.keys() - {"version", "cluster.id", "node.id", "directory.id"}
    for name in sorted(unknown):
        raise FlawedFile(found[name].position, f"unknown property {name!r}")
    return found


def read_clean_shutdown(data: bytes) -> int:
    """The broker epoch, -1 of an old file that does not say it. Raises FlawedFile."""
    if not data:
        return -1
    fields = read_json(data)
    if fields.get("version") != 0 or type(fields.get("brokerEpoch")) is not int:
        raise FlawedFile(0, f"no version 0 with a brokerEpoch: {_shown(data)}")
    return int(fields["brokerEpoch"])


def read_json(data: bytes) -> dict[str, Any]:
    """Raises FlawedFile."""
    try:
        fields = json.loads(data)
    except json.JSONDecodeError as error:
        raise FlawedFile(error.pos, f"not JSON: {error.msg}") from None
    except ValueError as error:
        raise FlawedFile(0, f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise FlawedFile(0, "not a JSON object")
    return fields


def _shown(text: bytes) -> str:
    shown = ascii(text[:60].decode("latin-1"))
    return shown + "…" if len(text) > 60 else shown
