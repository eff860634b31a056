"""The JSON form of a message: Kafka's names in camelCase, bytes as base64, uuids as Kafka prints them.

A field that the version lacks is absent; so is a tagged field with its default. Unknown tagged fields of a nested
struct stand in it under "unknown_tags"; those of the message itself are the caller's to show. Kafka: the generated
JsonConverters; the form of the golden lines.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cache
from typing import Any, Self

from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message, Struct
from pykbroker.protocol.schema import FieldSchema, MessageSchema, schemas

Converter = Callable[[Any], Any]
UNKNOWN_TAGS = "unknown_tags"
_INTEGERS = {
    "int8": (-(2**7), 2**7 - 1), "int16": (-(2**15), 2**15 - 1), "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1), "int64": (-(2**63), 2**63 - 1),
}  # fmt: skip
MAX_TAG = 2**31 - 1


def to_json(message: Message, version: int) -> dict[str, Any]:
    """The JSON form, without the message's own unknown tags."""
    return _plan(type(message).__name__, version).show(message)


def from_json(name: str, version: int, value: Any) -> Message:
    """The message of that name. Raises ValueError that says where the value does not fit the schema; KafkaError for a
    version without schema. Every field that the version has must be there, but for tagged ones."""
    message: Message = _plan(name, version).read(value)
    return message


def tags_to_json(tags: list[tuple[int, bytes]]) -> list[dict[str, Any]]:
    return [{"tag": tag, "hex": data.hex()} for tag, data in tags]


def tags_from_json(value: Any) -> list[tuple[int, bytes]]:
    """Raises ValueError."""
    if not isinstance(value, list):
        raise ValueError(f"{UNKNOWN_TAGS} must be a list")
    tags: list[tuple[int, bytes]] = []
    for item in value:
        if not isinstance(item, dict) or item.keys() != {"tag", "hex"} or not isinstance(item["hex"], str):
            raise ValueError(f"{UNKNOWN_TAGS} wants items of tag and hex")
        tag = item["tag"]
        if not isinstance(tag, int) or isinstance(tag, bool) or not 0 <= tag <= MAX_TAG:
            raise ValueError(f"{UNKNOWN_TAGS}: {tag!r} is no tag")
        tags.append((tag, bytes.fromhex(item["hex"])))
    return tags


class Misfit(ValueError):
    """A value that does not fit the schema; `where` is the path to it, like topics[0].name."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what

    @classmethod
    def below(cls, step: str, error: ValueError) -> Self:
        if not isinstance(error, Misfit):
            return cls(step, str(error))
        return cls(f"{step}{'' if error.where.startswith('[') else '.'}{error.where}", error.what)


class _Plan:
    """One struct in one version: what to show and to read, field by field."""

    def __init__(self, schema: MessageSchema, struct: str, version: int) -> None:
        self.struct_class = schema.struct_class(struct)
        self.top = struct == schema.name
        self.flexible = version >= schema.flexible_from
        self.version = version
        self.fields: list[tuple[FieldSchema, str, str, Converter, Converter]] = []
        for field in schema.structs[struct]:
            if field.is_in(version):
                show, read = _converters(schema, field, version)
                self.fields.append((field, field.json_name, field.attribute, show, read))
        self.names = {row[1] for row in self.fields} | ({UNKNOWN_TAGS} if self.flexible and not self.top else set())

    def show(self, value: Struct) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        default: Struct | None = None
        for field, name, attribute, show, _ in self.fields:
            content = getattr(value, attribute)
            if field.tag is not None:
                default = default or self.struct_class()
                if content == getattr(default, attribute):
                    continue
            shown[name] = None if content is None else show(content)
        if not self.top and value.unknown_tags:
            shown[UNKNOWN_TAGS] = tags_to_json(value.unknown_tags)
        return shown

    def read(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, not {_short(value)}")
        if not value.keys() <= self.names:
            extra = ", ".join(sorted(value.keys() - self.names))
            raise ValueError(f"version {self.version} of {self.struct_class.__name__} has no {extra}")
        struct = self.struct_class()
        for field, name, attribute, _, read in self.fields:
            if name not in value:
                if field.tag is None:
                    raise ValueError(f"{name} is missing")
                continue
            content = value[name]
            if content is None:
                if not field.may_be_null(self.version):
                    raise ValueError(f"{name} must not be null in version {self.version}")
                setattr(struct, attribute, None)
                continue
            try:
                setattr(struct, attribute, read(content))
            except ValueError as error:
                raise Misfit.below(name, error) from None
        if not self.top and UNKNOWN_TAGS in value:
            struct.unknown_tags = tags_from_json(value[UNKNOWN_TAGS])
        return struct


@cache
def _plan(name: str, version: int) -> _Plan:
    schema = schemas()[name]
    if not schema.lowest <= version <= schema.highest:
        known = f"{schema.lowest} to {schema.highest}"
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"{name} has no version {version}, only {known}")
    return _struct_plan(name, name, version)


@cache
def _struct_plan(message: str, struct: str, version: int) -> _Plan:
    return _Plan(schemas()[message], struct, version)


def _converters(schema: MessageSchema, field: FieldSchema, version: int) -> tuple[Converter, Converter]:
    """(value → JSON, JSON → value), neither of them for null. The second raises ValueError."""
    if field.struct is not None:
        plan = _struct_plan(schema.name, field.struct, version)
        show: Converter = plan.show
        read: Converter = plan.read
    else:
        show, read = _primitive(field.type)
    if not field.array:
        return show, read
    return (list if show is _same else lambda values: [show(value) for value in values]), _reader_of_list(read)


def _primitive(kind: str) -> tuple[Converter, Converter]:
    match kind:
        case "uuid":
            return str, _read_uuid
        case "bytes" | "records":
            return lambda value: b64encode(value).decode(), _read_base64
        case "string":
            return _same, _reader_of(str, "a string")
        case "bool":
            return _same, _reader_of(bool, "a boolean")
        case "float64":
            return _same, _read_float
        case _:
            return _same, _reader_of_integer(*_INTEGERS[kind])


def _same(value: Any) -> Any:
    return value


def _reader_of(kind: type, what: str) -> Converter:
    def read(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"expected {what}, not {_short(value)}")
        return value

    return read


def _reader_of_integer(low: int, high: int) -> Converter:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"expected an integer, not {_short(value)}")
        if not low <= value <= high:
            raise ValueError(f"{_short(value)} is not within {low} and {high}")
        return value

    return read


def _reader_of_list(read_one: Converter) -> Converter:
    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError(f"expected a list, not {_short(value)}")
        items: list[Any] = []
        for index, item in enumerate(value):
            try:
                items.append(read_one(item))
            except ValueError as error:
                raise Misfit.below(f"[{index}]", error) from None
        return items

    return read


def _read_float(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"expected a number, not {_short(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{_short(value)} is too large") from None


def _read_uuid(value: Any) -> Uuid:
    if not isinstance(value, str):
        raise ValueError(f"expected a uuid, not {_short(value)}")
    return Uuid.parse(value)


def _read_base64(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"expected base64, not {_short(value)}")
    return b64decode(value, validate=True)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
