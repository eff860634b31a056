"""pykbroker wire decode | encode | show: the wire codec as a filter of JSON lines, and the schemas for a person."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from pykbroker.cli import wire_show
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.json_form import from_json, tags_from_json, tags_to_json, to_json
from pykbroker.protocol.schema import MessageSchema, schemas

USAGE = """\
usage: pykbroker wire decode      JSON lines with "hex" on standard input → the same lines with "json"
       pykbroker wire encode      JSON lines with "json" on standard input → the same lines with "hex"
       pykbroker wire show [NAME] [--version N]   the schema of an API, record or embedded message; no NAME: all names

A line names its message by "api" and "kind" (request or response), or by "message"; and by "version":
  {"api":"Heartbeat","kind":"request","version":4,"hex":"..."}
"hex" is the body alone, without length prefix and header. Tagged fields that the schema does not know stand in
"unknown_tags". One line comes out for each line in; a bad one comes back with "error", and the filter goes on."""
MISUSED = 2
Line = dict[str, Any]
# In a result: this key of the input line no longer holds.
GONE = object()


def run(arguments: list[str]) -> int:
    """The command line behind `pykbroker wire`; returns the exit code."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command in ("-h", "--help") or "--help" in rest or "-h" in rest:
        print(USAGE)
        return 0
    if command == "show":
        return wire_show.run(rest)
    work = {"decode": decode_line, "encode": encode_line}.get(command)
    if work is None or rest:
        problem = f"no command {command!r}" if work is None else f"{command} takes no arguments: {' '.join(rest)}"
        print(f"pykbroker wire: {problem}\n{USAGE}", file=sys.stderr)
        return MISUSED
    try:
        return run_filter(work)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever reads has gone: no complaint at exit
        return 1
    except KeyboardInterrupt:
        return 130


main = run


def run_filter(work: Callable[[Line], Line]) -> int:
    """One line out for each line in, in order, each written at once so that the filter can be talked to."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace")):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors=errors, newline="\n")
    out = sys.stdout
    for text in sys.stdin:
        out.write(process(text, work) + "\n")
        out.flush()
    return 0


def process(text: str, work: Callable[[Line], Line]) -> str:
    """What comes out for one line."""
    line: Line = {}
    try:
        line = parse(text)
        done = {**line, "error": GONE, **work(line)}
        return dump({key: value for key, value in done.items() if value is not GONE})
    except (ValueError, MalformedFrame) as error:
        return dump(line | {"error": str(error)})
    except KafkaError as error:
        return dump(line | {"error": error.message or str(error)})


def parse(text: str) -> Line:
    """Raises ValueError for anything but a JSON object."""
    if not text.strip():
        raise ValueError("an empty line")
    try:
        line = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")
    return line


def dump(line: Line) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def decode_line(line: Line) -> Line:
    """Raises ValueError, MalformedFrame, KafkaError."""
    schema, version = schema_of(line), version_of(line)
    raw = bytes.fromhex(text_of(line, "hex"))
    message, end = schema.message_class().decode(raw, version)
    # Some clients send more than the schema has, and Kafka does not mind.
    if end != len(raw) and schema.kind != "request":
        raise MalformedFrame(f"{len(raw) - end} bytes left over behind {schema.name} v{version}", end)
    tags = tags_to_json(message.unknown_tags) if message.unknown_tags else GONE
    return {"json": to_json(message, version), "unknown_tags": tags}


def encode_line(line: Line) -> Line:
    """Raises ValueError, KafkaError."""
    schema, version = schema_of(line), version_of(line)
    if "json" not in line:
        raise ValueError("json is missing")
    message = from_json(schema.name, version, line["json"])
    tags = line.get("unknown_tags")
    if tags is not None:
        if tags and version < schema.flexible_from:
            raise ValueError(f"version {version} of {schema.name} has no tagged fields")
        message.unknown_tags = tags_from_json(tags)
    return {"hex": message.encode(version).hex()}


def schema_of(line: Line) -> MessageSchema:
    """The schema that a line names. Raises ValueError."""
    if "message" in line:
        name = text_of(line, "message")
        schema = schemas().get(name)
        kind = line.get("type")
        if schema is not None and kind is not None and kind != schema.kind:
            raise ValueError(f"{name} is of type {schema.kind}, not {kind!r}")
    else:
        kind = text_of(line, "kind")
        if kind not in ("request", "response"):
            raise ValueError(f"kind must be request or response, not {kind!r}")
        name = text_of(line, "api")
        schema = schemas().get(name + kind.capitalize())
    if schema is None:
        raise ValueError(f"no message is called {name!r}; pykbroker wire show lists the names")
    return schema


def version_of(line: Line) -> int:
    version = line.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise ValueError("version is missing" if version is None else f"version must be an integer, not {version!r}")
    return version


def text_of(line: Line, key: str) -> str:
    value = line.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is missing" if value is None else f"{key} must be a string")
    return value
