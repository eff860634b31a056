"""Parse enums.spec and emit protocol/enums.py: enums, what else Kafka says of their members, sets and constants."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from tools.generate.messages import header
from tools.generate.notation import SpecError

Scalar = str | int | bool
NUMBERS = ("code", "id", "value", "type")
WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
# Columns that say nothing new: which member is UNKNOWN, the name again, the versions that the record's class has.
SILENT = frozenset(
    (
        "isUnknown", "controlRecordKeySize", "toLowerCaseString", "rate", "highestSupportedVersion",
        "lowestSupportedVersion",
    )
)  # fmt: skip


class Enum(NamedTuple):
    kafka_name: str
    name: str  # in Python
    columns: list[str]
    members: list[tuple[str, dict[str, Scalar]]]

    @property
    def number(self) -> str | None:
        """The column that is the member's number, if it has one."""
        return next((column for column in self.columns if column in NUMBERS), None)


class Table(NamedTuple):
    """`sets` (member: words) or `constants` (name: scalar)."""

    kafka_name: str
    name: str
    rows: dict[str, list[Scalar]]


class EnumSpecs(NamedTuple):
    enums: list[Enum]
    sets: list[Table]
    constants: list[Table]


def scalar(word: str) -> Scalar:
    try:
        value = json.loads(word)
    except ValueError:
        return word
    if isinstance(value, str | int | bool):
        return value
    raise SpecError(f"{word} is no scalar")


def parse_enums(text: str) -> EnumSpecs:
    specs = EnumSpecs([], [], [])
    kind = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        words = WORD.findall(line)
        if line.startswith(" "):
            add_row(specs, kind, words)
            continue
        kind, kafka_name = words[:2]
        name = words[3] if words[2:3] == ["as"] else kafka_name
        if kind == "enum":
            specs.enums.append(Enum(kafka_name, name, words[words.index(":") + 1 :], []))
        elif kind in ("sets", "constants"):
            (specs.sets if kind == "sets" else specs.constants).append(Table(kafka_name, name, {}))
        else:
            raise SpecError(f"enums.spec: {line}")
    return specs


def add_row(specs: EnumSpecs, kind: str, words: list[str]) -> None:
    if kind == "enum":
        enum = specs.enums[-1]
        cells = zip(enum.columns, words[1:], strict=True)
        enum.members.append((words[0], {column: scalar(word) for column, word in cells if word != "-"}))
    else:
        table = specs.sets[-1] if kind == "sets" else specs.constants[-1]
        table.rows[words[0]] = [scalar(word) for word in words[1:]]


def generate(specs: Path) -> dict[str, str]:
    parsed = parse_enums((specs / "enums.spec").read_text(encoding="utf-8"))
    lines = [
        header("protocol_specs/enums.spec").rstrip(),
        '"""Kafka\'s enums under Kafka\'s names: an IntEnum where the members have numbers, else a StrEnum."""',
        "",
        "from enum import IntEnum, StrEnum",
        "from typing import Final",
    ]
    for enum in parsed.enums:
        lines += emit_enum(enum)
    for table in parsed.sets:
        lines += ["", "", f"{table.name.upper()}: Final = {{"]
        for name, words in table.rows.items():
            lines += [f"    ResourceType.{name}: frozenset(", "        {"]
            lines += [f"            AclOperation.{word}," for word in words]
            lines += ["        }", "    ),"]
        lines.append("}")
    for table in parsed.constants:
        lines += ["", "", f"class {table.name}:", f'    """{doc_of(table)}"""', ""]
        lines += [f"    {name}: Final = {literal(value)}" for name, (value,) in table.rows.items()]
    return {"pykbroker/protocol/enums.py": wrap("\n".join(lines) + "\n")}


def doc_of(table: Table) -> str:
    return table.kafka_name.removeprefix("constants/") + " in Kafka."


def emit_enum(enum: Enum) -> list[str]:
    number = enum.number
    lines = ["", "", f"class {enum.name}({'IntEnum' if number else 'StrEnum'}):"]
    if enum.kafka_name != enum.name:
        lines += [f'    """{enum.kafka_name} in Kafka."""', ""]
    text = "string"
    lines += [f"    {name} = {literal(values[number or text])}" for name, values in enum.members]
    for column in enum.columns:
        if column in (number, *SILENT) or (number is None and column == text):
            continue
        rows = [(name, values[column]) for name, values in enum.members if column in values]
        lines += ["", "", f"{constant(enum.name)}_{constant(column)}: Final = {{"]
        lines += [f"    {enum.name}.{name}: {literal(value)}," for name, value in rows]
        lines.append("}")
    return lines


def constant(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def literal(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def wrap(text: str) -> str:
    """Break texts that make a line longer than 120 characters."""
    lines: list[str] = []
    for line in text.splitlines():
        if len(line) <= 120:
            lines.append(line)
            continue
        head, quote, value = line.partition('"')
        value, _, tail = value.rpartition(quote)
        lines.append(f"{head}(")
        lines += [f'        "{part}"' for part in re.findall(r".{1,90}(?: |$)", value)]
        lines.append(f"    ){tail}")
    return "\n".join(lines) + "\n"
