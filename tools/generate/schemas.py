"""Emit protocol/schemas.json: every schema as data, for the JSON form and `pykbroker wire show`; one message a line."""

import json
from pathlib import Path

from tools.generate.layout import attribute
from tools.generate.messages import FOLDERS, ModuleEmitter, module_name
from tools.generate.notation import Field, SpecFile, parse_folder


def generate(specs: Path) -> dict[str, str]:
    """The layout is read by pykbroker/protocol/schema.py."""
    lines: list[str] = []
    removed: dict[str, int] = {}
    for source, target in FOLDERS.items():
        for spec in parse_folder(specs / source):
            removed |= {api.name: api.key for api in spec.apis if api.versions is None}
            lines += rows_of(spec, f"{target.replace('/', '.')}.{module_name(spec.path)}")
    text = '{"removed":' + compact(removed) + ',\n"messages":[\n' + ",\n".join(lines) + "\n]}\n"
    return {"pykbroker/protocol/schemas.json": text}


def rows_of(spec: SpecFile, module: str) -> list[str]:
    emitter = ModuleEmitter(spec)
    emitter.name_structs()
    lines: list[str] = []
    for message in spec.messages:
        structs = {
            emitter.names[id(struct)]: [field_row(field, emitter.names) for field in struct.fields]
            for struct in [message.body, *message.structs.values()]
        }
        limits = [message.versions.low, message.versions.high, message.flexible_from, message.unstable]
        lines.append(compact([message.name, module, message.kind, message.key, *limits, structs]))
    return lines


def field_row(field: Field, names: dict[int, str]) -> list[object]:
    struct = None if field.struct is None else names[id(field.struct)]
    null = [min(field.null_in), max(field.null_in)] if field.null_in else None
    flags = "[]" * field.array + "~" * field.ignorable + "k" * field.map_key + "c" * field.classic
    present = [min(field.present), max(field.present)]
    kind = field.entity or field.type
    return [field.name, attribute(field), kind, field.type, struct, present, null, field.tag, field.default, flags]


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
