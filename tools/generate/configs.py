"""Config definitions: protocol_specs/config/*.spec → pykbroker/config/{definitions,documentation,…_config}.py.

The notation is described in protocol_specs/config/README.md. `generate()` is called by tools/generate/__main__.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "protocol_specs" / "config"
TARGET = "pykbroker/config"

# Ids of DescribeConfigsResponse.ConfigType.
TYPES = {
    "boolean": 1, "string": 2, "int": 3, "short": 4, "long": 5, "double": 6, "list": 7, "class": 8, "password": 9,
}  # fmt: skip
PYTHON_TYPES = {
    "boolean": "bool", "string": "str", "int": "int", "short": "int", "long": "int", "double": "float",
    "list": "list[str]", "class": "str", "password": "str",
}  # fmt: skip
MAXIMA = {"short": 2**15 - 1, "int": 2**31 - 1, "long": 2**63 - 1, "double": 1.7976931348623157e308}
MODES = {"cluster-wide": 1, "per-broker": 2}
IMPORTANCES = {"high": 2, "low": 0}
FLAGS = {"required": 1, "internal": 2, "inert": 4}
TOKEN = re.compile(r"\[[^]]*\]|\{[^}]*\}i?|\S+")
RANGE = re.compile(r"(-?[\d.]+?)\.\.(-?[\d.]+)?")


class SpecError(Exception):
    """A spec does not follow the notation."""


class Config(NamedTuple):
    name: str
    type: str
    has_default: bool
    default: Any
    validator: tuple[Any, ...] | None
    mode: int
    importance: int
    flags: int
    ours: str | None
    synonyms: tuple[str, ...]
    doc: str


def parse_file(path: Path) -> dict[str, list[Config]]:
    """The configs of one spec file, by kind."""
    kinds: dict[str, list[Config]] = {}
    current: list[Config] | None = None
    head = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            if not line or line.startswith("#"):
                continue
            if line.startswith("config "):
                current = kinds.setdefault(line[7:].strip(), [])
            elif current is None:
                raise SpecError("a config before its kind")
            elif line.startswith("  "):
                current.append(parse_line(head, line.strip()))
                head = ""
            elif head:
                raise SpecError(f"{head.split()[0]} has no documentation")
            else:
                head = line
        except SpecError as error:
            raise SpecError(f"{path.name}:{number}: {error}") from None
    if head:
        raise SpecError(f"{path.name}: {head.split()[0]} has no documentation")
    return kinds


def parse_line(line: str, doc: str) -> Config:
    body, _, synonyms = line.partition(" < ")
    name, kind, *tokens = TOKEN.findall(body)
    if kind not in TYPES:
        raise SpecError(f"{name}: unknown type {kind}")
    default: Any = None
    has_default = False
    validator: tuple[Any, ...] | None = None
    mode, importance, flags = 0, 1, 0
    ours = None
    while tokens:
        token = tokens.pop(0)
        if token == "=":
            default, has_default = parse_value(kind, tokens.pop(0)), True
        elif token == "ours":
            ours = ",".join(parse_list(text)) if (text := tokens.pop(0)).startswith("[") else text
        elif token in MODES:
            mode = MODES[token]
        elif token in IMPORTANCES:
            importance = IMPORTANCES[token]
        elif token in FLAGS:
            flags |= FLAGS[token]
        else:
            validator = merge(validator, parse_validator(name, kind, token))
    names = tuple(synonyms.split())
    return Config(name, kind, has_default, default, validator, mode, importance, flags, ours, names, doc)


def parse_list(text: str) -> list[str]:
    return [part.strip() for part in text.strip("[]{}").split(",") if part.strip()]


def parse_value(kind: str, text: str) -> Any:
    if text == "null":
        return None
    if kind == "list":
        return parse_list(text)
    if kind == "boolean":
        return text == "true"
    if text == "max":
        return MAXIMA[kind]
    if kind in ("int", "short", "long"):
        return int(text)
    if kind == "double":
        return float(text)
    return "" if text == '""' else text


def parse_validator(name: str, kind: str, token: str) -> tuple[Any, ...]:
    if token.startswith("{"):
        how = "in_any_case" if token.endswith("i") else "in"
        return (how, *parse_list(token.removesuffix("i")))
    if token in ("nonempty", "nonnull"):
        return (token,)
    if token.startswith("@"):
        return (token[1:],)
    if bounds := RANGE.fullmatch(token):
        low, high = bounds.groups()
        return ("range", number(low), None if high is None else number(high))
    raise SpecError(f"{name}: {token!r} is not part of the notation")


def number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def merge(first: tuple[Any, ...] | None, second: tuple[Any, ...]) -> tuple[Any, ...]:
    """`{a, b} nonempty` is one check of a list: ("in_nonempty", a, b)."""
    if first is None:
        return second
    if first[0] == "in" and second == ("nonempty",):
        return ("in_nonempty", *first[1:])
    raise SpecError(f"{first} and {second} exclude each other")


def load_specs(folder: Path = SPECS) -> dict[str, list[Config]]:
    """All configs by kind: broker, topic, group, client_metrics, quota_…"""
    kinds: dict[str, list[Config]] = {}
    for path in sorted(folder.glob("*.spec")):
        kinds.update(parse_file(path))
    return kinds


def attribute(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")


def generate() -> dict[str, str]:
    """The text of every generated file by its path below the project's root."""
    kinds = load_specs()
    topic_config = emit_class("TopicConfig", "topic", kinds["topic"], "TopicValues")
    topic_config += "\n\n" + emit_class("GroupConfig", "group", kinds["group"], "GroupValues")
    return {
        f"{TARGET}/definitions.py": emit_definitions(kinds),
        f"{TARGET}/documentation.py": emit_documentation(kinds),
        f"{TARGET}/broker_config.py": BROKER_HEAD
        + emit_class("BrokerConfig", "broker", kinds["broker"], "ConfigValues"),
        f"{TARGET}/topic_config.py": TOPIC_HEAD + topic_config,
    }


GENERATED = "Generated by tools/generate/configs.py from protocol_specs/config; do not edit."

DEFINITIONS_HEAD = f'''"""Config definitions of Kafka 4.3.1 by kind and name.

{GENERATED}
A row is (type, default, validator, update mode, flags): type an id of DescribeConfigs, update mode 0 read-only,
1 cluster-wide, 2 per-broker; flags 1 required, 2 internal, 4 without effect here. See config/types.py.
"""

# fmt: off
# ruff: noqa: E501 - a row is a line
from typing import Any, Final, TypeAlias

Row: TypeAlias = tuple[int, Any, tuple[Any, ...] | None, int, int]

'''

DOCUMENTATION_HEAD = f'''"""Importance and documentation of every config; imported by DescribeConfigs only.

{GENERATED}
"""

# fmt: off
# ruff: noqa: E501 - a row is a line
from typing import Final

# kind → name → (importance: 0 low, 1 medium, 2 high; one sentence)
'''

BROKER_HEAD = f'''"""BrokerConfig: one attribute per broker config.

{GENERATED}
"""

# fmt: off
# ruff: noqa: E501, RUF012 - a row is a line; the defaults are shared and never changed
from pykbroker.config.definitions import BROKER
from pykbroker.config.values import ConfigValues


'''

TOPIC_HEAD = f'''"""TopicConfig and GroupConfig: one attribute per config of a topic or group.

{GENERATED}
"""

# fmt: off
# ruff: noqa: RUF012 - the defaults are shared and never changed
from pykbroker.config.definitions import GROUP, TOPIC
from pykbroker.config.levels import GroupValues, TopicValues


'''


def emit_definitions(kinds: dict[str, list[Config]]) -> str:
    out = [DEFINITIONS_HEAD]
    for kind, configs in kinds.items():
        out.append(f"{kind.upper()}: Final[dict[str, Row]] = {{\n")
        for config in configs:
            row = (TYPES[config.type], literal(config.default), config.validator, config.mode, config.flags)
            out.append(f'    "{config.name}": {row!r},\n'.replace("'", '"'))
        out.append("}\n\n")
    out.append("# Names that are asked for a value, in this order, where it is not the name alone.\n")
    for kind in ("broker", "topic", "group"):
        out.append(f"{kind.upper()}_SYNONYMS: Final[dict[str, tuple[str, ...]]] = {{\n")
        out += [f'    "{c.name}": {c.synonyms!r},\n'.replace("'", '"') for c in kinds[kind] if c.synonyms]
        out.append("}\n\n")
    out.append("# What pykbroker takes where nothing is set and Kafka has no default, or one for large clusters.\n")
    out.append("OUR_DEFAULTS: Final[dict[str, str]] = {\n")
    out += [f'    "{c.name}": "{c.ours}",\n' for c in kinds["broker"] if c.ours is not None]
    out.append("}\n")
    return "".join(out)


def literal(default: Any) -> Any:
    """Constants only: a tuple is stored in the .pyc as it is, a list is built at every import."""
    return tuple(default) if isinstance(default, list) else default


def emit_documentation(kinds: dict[str, list[Config]]) -> str:
    out = [DOCUMENTATION_HEAD, "DOCUMENTATION: Final[dict[str, dict[str, tuple[int, str]]]] = {\n"]
    for kind, configs in kinds.items():
        out.append(f'    "{kind}": {{\n')
        out += [f'        "{c.name}": ({c.importance}, {quoted(c.doc)}),\n' for c in configs]
        out.append("    },\n")
    out.append("}\n")
    return "".join(out)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def emit_class(name: str, kind: str, configs: list[Config], base: str) -> str:
    out = [f"class {name}({base}):\n"]
    out.append(f'    """Values of the {kind} configs; attribute names are Kafka\'s names in snake case."""\n\n')
    out.append(f"    TABLE = {kind.upper()}\n\n")
    for config in configs:
        default = config.default
        if config.ours is not None:
            default = parse_value(config.type, f"[{config.ours}]" if config.type == "list" else config.ours)
        annotation = PYTHON_TYPES[config.type] + (" | None" if default is None else "")
        value = quoted(default) if isinstance(default, str) else repr(default).replace("'", '"')
        out.append(f"    {attribute(config.name)}: {annotation} = {value}\n")
    return "".join(out)
