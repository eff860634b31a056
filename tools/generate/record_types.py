"""Emit protocol/record_types.py: in which module each persisted and embedded message is, and its record type."""

from pathlib import Path

from tools.generate.messages import FOLDERS, header, module_name
from tools.generate.notation import parse_folder


def generate(specs: Path) -> dict[str, str]:
    lines = [
        header("protocol_specs/persisted and embedded").rstrip(),
        '"""Where the messages are that Kafka keeps in its logs or inside other messages; nothing is imported here."""',
        "",
        "# folder: {message: module}",
        "MODULES: dict[str, dict[str, str]] = {",
    ]
    types: list[str] = []
    for source in FOLDERS:
        if source == "apis":
            continue
        folder = source.removeprefix("persisted/")
        lines.append(f'    "{folder}": {{')
        records: dict[int, dict[str, str]] = {}
        for spec in parse_folder(specs / source):
            for message in spec.messages:
                lines.append(f'        "{message.name}": "{module_name(spec.path)}",')
                if message.key is not None:
                    part = "key" if message.kind == "coordinator-key" else "value"
                    records.setdefault(message.key, {})[part] = message.name
        lines.append("    },")
        if records:
            types.append(f'    "{folder}": {{')
            for number, names in sorted(records.items()):
                types.append(f'        {number}: ("{names.get("key", "")}", "{names["value"]}"),')
            types.append("    },")
    lines += ["}", "", "# folder: {record type: (key message or nothing, value message)}"]
    lines += ["RECORD_TYPES: dict[str, dict[int, tuple[str, str]]] = {", *types, "}"]
    return {"pykbroker/protocol/record_types.py": "\n".join(lines) + "\n"}
