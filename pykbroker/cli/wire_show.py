"""pykbroker wire show: the schema of a message, for a person."""

import sys
from collections.abc import Iterator
from difflib import get_close_matches

from pykbroker.protocol.schema import NEVER_FLEXIBLE, FieldSchema, MessageSchema, removed_apis, schemas

MISUSED = 2
KINDS = {
    "request": "request",
    "response": "response",
    "header": "header",
    "metadata": "record of a metadata log",
    "coordinator-key": "key of a coordinator's record",
    "coordinator-value": "value of a coordinator's record",
    "data": "data",
}
# What a person may leave out: an API shows its request and response, a coordinator's record its key and value.
SUFFIXES = ("request", "response", "key", "value", "record", "message", "data")


def run(arguments: list[str]) -> int:
    try:
        names, version = parse(arguments)
        lines = list(show(names[0], version)) if names else list(all_names())
    except ValueError as error:
        print(f"pykbroker wire show: {error}", file=sys.stderr)
        return MISUSED
    print("\n".join(lines))
    return 0


def parse(arguments: list[str]) -> tuple[list[str], int | None]:
    """(name or nothing, version or None). Raises ValueError."""
    names: list[str] = []
    version: int | None = None
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if option == "--version":
            value = value if equals else (rest.pop(0) if rest else "")
            if not value.isdecimal():
                raise ValueError(f"--version wants a number, not {value!r}")
            version = int(value)
        elif word.startswith("-"):
            raise ValueError(f"unknown option {word}")
        else:
            names.append(word)
    if len(names) > 1:
        raise ValueError(f"one name at a time, not {' '.join(names)}")
    return names, version


def all_names() -> Iterator[str]:
    """Every message, APIs first, by what `show` takes."""
    for schema in schemas().values():
        if schema.kind == "request":
            yield f"{schema.name.removesuffix('Request'):<32} API {schema.key}, {versions(schema)}"
    for schema in schemas().values():
        if schema.kind not in ("request", "response"):
            yield f"{schema.name:<45} {KINDS[schema.kind]}, {versions(schema)}"


def show(name: str, version: int | None) -> Iterator[str]:
    """Raises ValueError for a name or version that does not exist."""
    found = find(name)
    if version is not None:
        known = [schema for schema in found if schema.lowest <= version <= schema.highest]
        if not known:
            raise ValueError(f"{name} has no version {version}, only {limits(found[0])}")
        found = known
    for index, schema in enumerate(found):
        if index:
            yield ""
        yield from show_message(schema, version)


def find(name: str) -> list[MessageSchema]:
    by_name = {known.lower(): schema for known, schema in schemas().items()}
    wanted = name.lower()
    if wanted in by_name:
        return [by_name[wanted]]
    found = [by_name[wanted + suffix] for suffix in SUFFIXES if wanted + suffix in by_name]
    if found:
        return found
    for api, key in removed_apis().items():
        if wanted == api.lower():
            raise ValueError(f"{api} (API {key}) has no version any more")
    candidates = {known.removesuffix("Request") for known in schemas()}
    near = get_close_matches(name, candidates, n=3)
    raise ValueError(f"no message is called {name}" + (f"; perhaps {', '.join(near)}?" if near else ""))


def show_message(schema: MessageSchema, version: int | None) -> Iterator[str]:
    keyed_by = "API" if schema.kind in ("request", "response") else "type"
    number = "" if schema.key is None else f", {keyed_by} {schema.key}"
    flexible = "never flexible" if schema.flexible_from == NEVER_FLEXIBLE else f"flexible from {schema.flexible_from}"
    unstable = "" if schema.unstable is None else f", {schema.unstable} unstable"
    shown = versions(schema) if version is None else f"version {version} of {limits(schema)}"
    yield f"{schema.name} ({KINDS[schema.kind]}{number}, {shown}, {flexible}{unstable})"
    rows = list(field_rows(schema, schema.fields, version, 1))
    if not rows:
        yield "  (no fields)"
    width = max((len(name) for name, _, _ in rows), default=0)
    type_width = max((len(kind) for _, kind, _ in rows), default=0)
    for name, kind, notes in rows:
        yield f"{name:<{width}}  {kind:<{type_width}}  {notes}".rstrip()


def field_rows(
    schema: MessageSchema, fields: list[FieldSchema], version: int | None, depth: int
) -> Iterator[tuple[str, str, str]]:
    """(indented name, type, what else is to be said), nested structs below their field."""
    for field in fields:
        if version is not None and not field.is_in(version):
            continue
        kind = ("[]" if field.array else "") + field.shown_type
        yield "  " * depth + field.name, kind, ", ".join(notes_on(schema, field, version))
        if field.struct is not None:
            yield from field_rows(schema, schema.structs[field.struct], version, depth + 1)


def notes_on(schema: MessageSchema, field: FieldSchema, version: int | None) -> Iterator[str]:
    everywhere = (schema.lowest, schema.highest)
    if version is None and field.present != everywhere:
        yield f"versions {span(field.present, schema.highest)}"
    if field.nullable is not None and (version is None or field.may_be_null(version)):
        yield (
            "nullable"
            if version is not None or field.nullable == field.present
            else (f"nullable in {span(field.nullable, schema.highest)}")
        )
    if field.tag is not None:
        yield f"tag {field.tag}"
    if field.default is not None:
        yield f"default {field.default or repr('')}"
    if field.map_key:
        yield "key"
    if field.never_compact and (version is None or version >= schema.flexible_from):
        yield "never compact"
    if version is None and field.ignorable and field.present != everywhere:
        yield "dropped where a version lacks it"


def versions(schema: MessageSchema) -> str:
    return f"version{'s' if schema.lowest != schema.highest else ''} {limits(schema)}"


def limits(schema: MessageSchema) -> str:
    return f"{schema.lowest}-{schema.highest}" if schema.lowest != schema.highest else str(schema.lowest)


def span(versions: tuple[int, int], highest: int) -> str:
    low, high = versions
    if high == highest:
        return f"{low}+"
    return str(low) if low == high else f"{low}-{high}"
