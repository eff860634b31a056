"""The golden lines of wire and persist, and the messages they are about."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from pykbroker.protocol.lookup import message_class, request_class, response_class
from pykbroker.protocol.message import Message
from tests.golden_data import golden_lines, golden_path

LINES = 8120


def files() -> list[str]:
    return [
        f"{folder}/{path.name}" for folder in ("wire", "persist") for path in sorted(golden_path(folder).glob("*.gz"))
    ]


@cache
def lines_of(name: str) -> list[dict[str, Any]]:
    return list(golden_lines(name))


def all_lines() -> Iterator[dict[str, Any]]:
    for name in files():
        yield from lines_of(name)


def class_of(line: dict[str, Any]) -> type[Message]:
    if "message" in line:
        return message_class(line["message"])
    return request_class(line["key"]) if line["kind"] == "request" else response_class(line["key"])


def label(line: dict[str, Any]) -> str:
    return f"{line.get('api') or line['message']} {line.get('kind', '')} v{line['version']} {line['case']}"
