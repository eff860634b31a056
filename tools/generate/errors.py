"""Emit protocol/error_codes.py from protocol_specs/errors.spec."""

from pathlib import Path
from typing import NamedTuple

from tools.generate.messages import header


class Error(NamedTuple):
    code: int
    name: str
    exception: str | None
    retriable: bool
    refresh_retriable: bool
    kind: str | None


def parse_errors(text: str) -> list[Error]:
    errors = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        kind = words[words.index("kind") + 1] if "kind" in words else None
        refresh = "refreshRetriable" in words
        exception = None if words[2] == "-" else words[2]
        errors.append(Error(int(words[0]), words[1], exception, refresh or "retriable" in words, refresh, kind))
    return errors


def generate(specs: Path) -> dict[str, str]:
    errors = parse_errors((specs / "errors.spec").read_text(encoding="utf-8"))
    lines = [
        header("protocol_specs/errors.spec").rstrip(),
        '"""Kafka\'s error codes (org.apache.kafka.common.protocol.Errors)."""',
        "",
        "from enum import IntEnum",
        "",
        "",
        "class ErrorCode(IntEnum):",
        *(f"    {error.name} = {error.code}" for error in errors),
        "",
        "",
        "# A client may try again; of these, REFRESH_RETRIABLE ask it to refresh its metadata first.",
        *frozen("RETRIABLE", [error.code for error in errors if error.retriable]),
        *frozen("REFRESH_RETRIABLE", [error.code for error in errors if error.refresh_retriable]),
    ]
    return {"pykbroker/protocol/error_codes.py": "\n".join(lines) + "\n"}


def frozen(name: str, codes: list[int]) -> list[str]:
    lines, row = [f"{name} = frozenset(", "    {"], "       "
    for code in codes:
        if len(row) > 110:
            lines.append(row)
            row = "       "
        row += f" {code},"
    return [*lines, row, "    }", ")"]
