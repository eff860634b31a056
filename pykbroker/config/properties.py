"""Java's properties syntax, as server.properties is written in it (java.util.Properties.load)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_BLANK = " \t\f"
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "f": "\f"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_KEY = re.compile(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*", re.DOTALL)


class Property(NamedTuple):
    """`line` is the number of the first line of the entry, from 1."""

    name: str
    value: str
    line: int


def parse_properties(text: str) -> Iterator[Property]:
    """Every entry in order; a name may come twice, the last one counts. Raises ValueError for a bad \\u escape."""
    for line, entry in _logical_lines(text):
        match = _KEY.match(entry)
        assert match is not None  # it matches the empty string too
        yield Property(_unescape(match[1], line), _unescape(entry[match.end() :], line), line)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Entries with their continuation lines joined; comments and blank lines are left out."""
    pending, start = "", 0
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = raw.lstrip(_BLANK)
        if not start and (not line or line[0] in "#!"):
            continue
        start = start or number
        if _is_continued(line):
            pending += line[:-1]
            continue
        yield start, pending + line
        pending, start = "", 0
    if start:
        yield start, pending


def _is_continued(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _unescape(text: str, line: int) -> str:
    if "\\" not in text:
        return text

    def replaced(match: re.Match[str]) -> str:
        escape = match[1]
        if escape[0] != "u":
            return _ESCAPES.get(escape, escape)
        if len(escape) == 1:
            raise ValueError(f"line {line}: malformed \\uXXXX escape")
        return chr(int(escape[1:], 16))

    return _ESCAPE.sub(replaced, text)
