"""What decoders and encoders share: version conditions, groups of fields, struct formats, Python types and defaults."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import groupby
from keyword import iskeyword

from tools.generate.notation import OPEN, Field, Message, Struct, snake

# type: (struct format, bytes, suffix of the array functions)
FIXED = {
    "bool": ("?", 1), "int8": ("b", 1), "int16": ("h", 2), "uint16": ("H", 2), "int32": ("i", 4), "uint32": ("I", 4),
    "int64": ("q", 8), "float64": ("d", 8), "uuid": ("16s", 16),
}  # fmt: skip
PYTHON = {"bool": "bool", "float64": "float", "uuid": "Uuid", "string": "str", "bytes": "bytes", "records": "Buffer"}
ARRAY_FUNCTIONS = {
    "int8": "int8s", "int16": "int16s", "int32": "int32s", "int64": "int64s", "uuid": "uuids", "string": "strings",
}  # fmt: skip
RESERVED = frozenset({"self", "decode", "encode", "encode_into", "unknown_tags"})
WIDTHS = {"b": 1, "B": 1, "?": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "d": 8, "16s": 16}


class Source:
    """Lines of Python under construction."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.indent = 0

    def __call__(self, text: str = "") -> None:
        self.lines.append("    " * self.indent + text if text else "")

    @contextmanager
    def nested(self, depth: int = 1) -> Iterator[None]:
        self.indent += depth
        yield
        self.indent -= depth

    def block(self, head: str) -> AbstractContextManager[None]:
        self(head)
        return self.nested()


def attribute(field: Field) -> str:
    """The field's name in Python."""
    name = snake(field.name)
    if name in RESERVED or iskeyword(name):
        raise ValueError(f"a field may not be called {field.name}: {name} means something else in its class")
    return name


def is_fixed(field: Field) -> bool:
    return not field.array and field.type in FIXED


def is_compact(field: Field, flexible: bool) -> bool:
    return flexible and not field.classic


def condition(wanted: frozenset[int], known: frozenset[int]) -> str | None:
    """Python that is true for the versions `wanted` of those that are possible here; None where it always is."""
    wanted &= known
    if wanted == known:
        return None
    low, high = min(wanted), max(wanted)
    if wanted != frozenset(v for v in known if low <= v <= high):
        raise ValueError(f"versions {sorted(wanted)} are no range among {sorted(known)}")
    if low == high:
        return f"version == {low}"
    if high == max(known):
        return f"version >= {low}"
    if low == min(known):
        return f"version <= {high}"
    return f"{low} <= version <= {high}"


def plain_fields(struct: Struct, known: frozenset[int]) -> list[Field]:
    return [field for field in struct.fields if field.tag is None and field.present & known]


def tagged_fields(struct: Struct, known: frozenset[int]) -> list[Field]:
    tagged = (field for field in struct.fields if field.tag is not None and field.present & known)
    return sorted(tagged, key=lambda field: field.tag or 0)


def absent_fields(struct: Struct, known: frozenset[int]) -> list[Field]:
    return [field for field in struct.fields if not field.present & known]


def groups(fields: list[Field], known: frozenset[int]) -> Iterator[tuple[frozenset[int], list[Field]]]:
    """Runs of neighbouring fields that exist in the same versions."""
    for versions, members in groupby(fields, key=lambda field: field.present & known):
        yield versions, list(members)


def halves(struct: Struct, flexible_from: int) -> tuple[frozenset[int], frozenset[int]]:
    """The struct's versions before and from the first flexible one: two bodies of code."""
    classic = frozenset(v for v in struct.used_in if v < flexible_from)
    return classic, struct.used_in - classic


def minimal_size(struct: Struct, known: frozenset[int], flexible: bool) -> int:
    """Bytes that every element takes in all of these versions: what bounds an array's count."""
    size = 1 if flexible else 0
    for field in plain_fields(struct, known):
        if field.present >= known:
            size += minimal_field_size(field, known, is_compact(field, flexible))
    if size < 1:
        raise ValueError(f"{struct.name}: elements of no size would let a count allocate without bytes")
    return size


def minimal_field_size(field: Field, known: frozenset[int], compact: bool) -> int:
    if is_fixed(field):
        return FIXED[field.type][1]
    if field.struct is not None and not field.array:
        return 1 if field.null_in & known else minimal_size(field.struct, known, compact)
    if compact:
        return 1
    return 2 if field.type == "string" and not field.array else 4


def element_type(field: Field, names: dict[int, str]) -> str:
    if field.struct is not None:
        return names[id(field.struct)]
    return PYTHON.get(field.type, "int")


def python_type(field: Field, names: dict[int, str]) -> str:
    kind = element_type(field, names)
    if field.array:
        kind = f"list[{kind}]"
    return f"{kind} | None" if field.null_in else kind


def is_null_default(field: Field) -> bool:
    return field.default == "null"


def default_value(field: Field, names: dict[int, str]) -> str:
    """A fresh default, as an expression."""
    if is_null_default(field):
        return "None"
    if field.array:
        return "[]"
    if field.struct is not None:
        return f"{names[id(field.struct)]}()"
    match field.type:
        case "string":
            return repr(field.default or "").replace("'", '"')
        case "bytes" | "records":
            return 'b""'
        case "bool":
            return "True" if field.default == "true" else "False"
        case "uuid":
            return "ZERO_UUID"
        case "float64":
            return "0.0"
        case _:
            return field.default or "0"


def differs_from_default(field: Field, value: str) -> str:
    """An expression that is true when `value` is not the field's default."""
    if is_null_default(field):
        return f"{value} is not None"
    null = f"{value} is None or " if field.null_in else ""
    if field.array or field.type in ("bytes", "records"):
        return f"({null}len({value}) != 0)" if null or field.type == "records" else value
    if field.struct is not None:
        parts = [differs_from_default(child, f"{value}.{attribute(child)}") for child in field.struct.fields]
        return f"({null}{' or '.join([*parts, f'{value}.unknown_tags'])})"
    if field.type == "bool":
        return f"not {value}" if field.default == "true" else value
    if null:
        return f"({null}{value} != {default_value(field, {})})"
    return f"{value} != {default_value(field, {})}"


def struct_constant(layout: list[str], direction: str) -> str:
    """The name of a precompiled struct's method, e.g. _unpack_ihq."""
    return f"_{direction}_{''.join('o' if code == '?' else code for code in layout)}"


def holds_records(message: Message) -> bool:
    """Whether decoding must keep slices of the caller's buffer."""

    def search(struct: Struct) -> bool:
        return any(f.type == "records" or (f.struct is not None and search(f.struct)) for f in struct.fields)

    return search(message.body)


def is_ever_flexible(message: Message) -> bool:
    return message.flexible_from != OPEN and message.flexible_from <= message.versions.high
