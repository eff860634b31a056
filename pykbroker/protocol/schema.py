"""The schemas as data (schemas.json, generated), for the JSON form and `pykbroker wire`; no broker loads it."""

import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from pykbroker.protocol.message import Message

NEVER_FLEXIBLE = 32767


class FieldSchema(NamedTuple):
    name: str
    attribute: str
    shown_type: str  # with Kafka's entity types: groupId, topicName, …
    type: str  # a primitive or the name of a struct
    struct: str | None  # the Python class of the struct
    present: tuple[int, int]  # versions, both included
    nullable: tuple[int, int] | None
    tag: int | None
    default: str | None
    flags: str

    @property
    def json_name(self) -> str:
        return self.name[0].lower() + self.name[1:]

    @property
    def array(self) -> bool:
        return "[]" in self.flags

    @property
    def ignorable(self) -> bool:
        return "~" in self.flags

    @property
    def map_key(self) -> bool:
        return "k" in self.flags

    @property
    def never_compact(self) -> bool:
        return "c" in self.flags

    def is_in(self, version: int) -> bool:
        return self.present[0] <= version <= self.present[1]

    def may_be_null(self, version: int) -> bool:
        return self.nullable is not None and self.nullable[0] <= version <= self.nullable[1]


class MessageSchema(NamedTuple):
    name: str
    module: str
    kind: str  # request response header metadata coordinator-key coordinator-value data
    key: int | None  # API key or record type
    lowest: int
    highest: int
    flexible_from: int
    unstable: int | None
    structs: dict[str, list[FieldSchema]]  # the message itself first

    @property
    def fields(self) -> list[FieldSchema]:
        return self.structs[self.name]

    def struct_class(self, name: str) -> type[Any]:
        found: type[Any] = getattr(import_module(f"pykbroker.protocol.{self.module}"), name)
        return found

    def message_class(self) -> type[Message]:
        return self.struct_class(self.name)


@cache
def schemas() -> dict[str, MessageSchema]:
    """Every message by its name; requests and responses under e.g. "FetchRequest"."""
    return {row[0]: MessageSchema._make((*row[:8], _structs(row[8]))) for row in _data()["messages"]}


@cache
def removed_apis() -> dict[str, int]:
    """APIs that still have a key, and no version any more."""
    found: dict[str, int] = _data()["removed"]
    return found


@cache
def _data() -> dict[str, Any]:
    text = Path(__file__).with_name("schemas.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def _structs(rows: dict[str, list[list[Any]]]) -> dict[str, list[FieldSchema]]:
    return {name: [FieldSchema(*map(_frozen, row)) for row in fields] for name, fields in rows.items()}


def _frozen(cell: Any) -> Any:
    return tuple(cell) if isinstance(cell, list) else cell
