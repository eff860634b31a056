"""Parse protocol_specs/: the compact notation of Kafka's messages (grammar: protocol_specs/README.md)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ENTITIES = {
    "groupId": "string",
    "topicName": "string",
    "transactionalId": "string",
    "brokerId": "int32",
    "producerId": "int64",
}
PRIMITIVES = frozenset(
    ("bool", "int8", "int16", "uint16", "int32", "uint32", "int64", "float64", "uuid", "string", "bytes", "records")
)
RANGE = re.compile(r"(\d+)(\+|-(\d+))?$")
# Above every version that exists: the upper end of `3+`.
OPEN = 32767
NEVER = frozenset[int]()


class SpecError(Exception):
    """A spec that does not follow the grammar; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Versions:
    low: int
    high: int

    def __contains__(self, version: int) -> bool:
        return self.low <= version <= self.high


@dataclass(slots=True)
class Field:
    name: str
    type: str  # a primitive, or the name of a struct
    array: bool = False
    entity: str | None = None
    versions: Versions | None = None  # None: wherever its struct is
    nullable: Versions | None = None  # None: never
    tag: int | None = None
    default: str | None = None
    ignorable: bool = False
    map_key: bool = False
    classic: bool = False  # never compact, even in flexible versions
    zero_copy: bool = False
    struct: "Struct | None" = None
    present: frozenset[int] = NEVER
    null_in: frozenset[int] = NEVER


@dataclass(slots=True)
class Struct:
    name: str
    fields: list[Field] = field(default_factory=list)
    used_in: frozenset[int] = NEVER


@dataclass(slots=True)
class Message:
    """One schema: a request, a response, a header, a record's key or value, or data."""

    name: str
    kind: str  # request response header metadata coordinator-key coordinator-value data
    key: int | None
    versions: Versions
    flexible_from: int  # OPEN: never
    body: Struct
    structs: dict[str, Struct]
    unstable: int | None = None

    @property
    def valid(self) -> frozenset[int]:
        return frozenset(range(self.versions.low, self.versions.high + 1))


@dataclass(slots=True)
class Api:
    key: int
    name: str
    versions: Versions | None  # None: no version is left
    flexible_from: int
    unstable: int | None
    listeners: list[str]
    cluster_action: bool
    forwardable: bool
    response_header: int | None  # the one header version of its responses, where Kafka makes an exception
    request: Message | None = None
    response: Message | None = None


@dataclass(slots=True)
class SpecFile:
    path: Path
    apis: list[Api] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)


def parse_versions(text: str) -> Versions | None:
    """`3+`, `2-5`, `4`; None when text is no range."""
    match = RANGE.match(text)
    if match is None:
        return None
    low = int(match[1])
    if match[2] is None:
        return Versions(low, low)
    return Versions(low, OPEN if match[2] == "+" else int(match[3]))


def parse_field(text: str) -> Field:
    name, kind, *words = text.split()
    nullable: Versions | None = None
    if "?" in kind:
        kind, _, limits = kind.partition("?")
        nullable = parse_versions(limits) if limits else Versions(0, OPEN)
    array = kind.startswith("[]")
    kind = kind.removeprefix("[]")
    entity = kind if kind in ENTITIES else None
    kind = ENTITIES.get(kind, kind)
    if kind not in PRIMITIVES and not kind[0].isupper():
        raise SpecError(f"unknown type {kind}")
    parsed = Field(name, kind, array, entity, nullable=nullable)
    while words:
        word = words.pop(0)
        if word == "=":
            parsed.default = words.pop(0).strip('"')
        elif word == "tag":
            parsed.tag = int(words.pop(0))
        elif word == "~":
            parsed.ignorable = True
        elif word == "key":
            parsed.map_key = True
        elif word == "classic":
            parsed.classic = True
        elif word == "zerocopy":
            parsed.zero_copy = True
        elif (versions := parse_versions(word)) is not None and parsed.versions is None:
            parsed.versions = versions
        else:
            raise SpecError(f"unexpected {word!r}")
    return parsed


def parse_body(lines: list[tuple[int, str]]) -> tuple[Struct, dict[str, Struct]]:
    """Indented field lines → the struct of the message, and every struct below it by name."""
    top = Struct("")
    structs: dict[str, Struct] = {}
    stack: list[tuple[int, Struct]] = [(0, top)]
    for indent, text in lines:
        while indent <= stack[-1][0]:
            stack.pop()
        parsed = parse_field(text)
        owner = stack[-1][1]
        if any(other.name == parsed.name for other in owner.fields):
            raise SpecError(f"field {parsed.name} twice")
        owner.fields.append(parsed)
        if parsed.type[0].isupper():
            parsed.struct = structs.setdefault(parsed.type, Struct(parsed.type))
            stack.append((indent, parsed.struct))
        else:
            stack.append((indent, Struct("no struct")))
    for struct in structs.values():
        if not struct.fields:
            raise SpecError(f"struct {struct.name} is used and never defined")
    return top, structs


def resolve(message: Message) -> None:
    """Compute in which versions each struct and field is on the wire, and where it may be null."""

    def visit(struct: Struct, versions: frozenset[int]) -> None:
        struct.used_in |= versions
        for child in struct.fields:
            allowed = versions if child.versions is None else frozenset(v for v in versions if v in child.versions)
            child.present |= allowed
            if child.nullable is not None:
                child.null_in |= frozenset(v for v in allowed if v in child.nullable)
            if child.struct is not None and allowed:
                visit(child.struct, allowed)

    visit(message.body, message.valid)


def make_message(
    name: str, kind: str, key: int | None, words: list[str], lines: list[tuple[int, str]], unstable: int | None = None
) -> Message:
    """`words`: what follows the name on the head line: versions [flex N+]."""
    versions = parse_versions(words[0])
    if versions is None:
        raise SpecError(f"{name}: no versions in {words}")
    flexible = OPEN
    if "flex" in words:
        start = parse_versions(words[words.index("flex") + 1])
        if start is None or start.high != OPEN:
            raise SpecError(f"{name}: flex wants N+")
        flexible = start.low
    body, structs = parse_body(lines)
    body.name = name
    message = Message(name, kind, key, versions, flexible, body, structs, unstable)
    resolve(message)
    return message


def parse_api(words: list[str]) -> Api:
    key, name, versions = int(words[1]), words[2], parse_versions(words[3])
    if versions is None and words[3] != "none":
        raise SpecError(f"api {name}: versions {words[3]}")
    api = Api(key, name, versions, OPEN, None, [], False, False, None)
    rest = words[4:]
    while rest:
        word = rest.pop(0)
        if word == "flex":
            flexible = parse_versions(rest.pop(0))
            api.flexible_from = OPEN if flexible is None else flexible.low
        elif word == "unstable":
            api.unstable = int(rest.pop(0))
        elif word == "on":
            while rest and rest[0] in ("broker", "controller"):
                api.listeners.append(rest.pop(0))
        elif word == "clusterAction":
            api.cluster_action = True
        elif word == "forwardable":
            api.forwardable = True
        elif word == "responseHeader":
            api.response_header = int(rest.pop(0))
        else:
            raise SpecError(f"api {name}: unexpected {word!r}")
    return api


def sections(text: str) -> Iterator[tuple[list[str], list[tuple[int, str]]]]:
    """Each unindented line, in words, with the (indent, text) lines below it."""
    head: list[str] = []
    lines: list[tuple[int, str]] = []
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].rstrip()
        if not line:
            continue
        if line[0] != " ":
            if head:
                yield head, lines
            head, lines = line.split(), []
        elif not head:
            raise SpecError(f"a field before any head line: {line.strip()}")
        else:
            lines.append((len(line) - len(line.lstrip()), line.strip()))
    if head:
        yield head, lines


def parse_text(path: Path, text: str) -> SpecFile:
    spec = SpecFile(path)
    api: Api | None = None
    record: tuple[int, str] | None = None
    for head, lines in sections(text):
        word = head[0]
        if word == "api":
            api = parse_api(head)
            spec.apis.append(api)
        elif word in ("request", "response") and api is not None:
            message = make_message(api.name + word.capitalize(), word, api.key, head_of(api), lines, api.unstable)
            spec.messages.append(message)
            if word == "request":
                api.request = message
            else:
                api.response = message
        elif word in ("message", "header"):
            kind = "data" if word == "message" else "header"
            spec.messages.append(make_message(head[1], kind, None, head[2:], lines))
        elif word == "record" and len(head) > 3:
            spec.messages.append(make_message(head[2], "metadata", int(head[1]), head[3:], lines))
        elif word == "record":
            record = int(head[1]), head[2]
        elif word in ("key", "value") and record is not None:
            name = record[1] + word.capitalize()
            spec.messages.append(make_message(name, f"coordinator-{word}", record[0], head[1:], lines))
        else:
            raise SpecError(f"unexpected line {' '.join(head)}")
    return spec


def head_of(api: Api) -> list[str]:
    if api.versions is None:
        raise SpecError(f"api {api.name} has a body and no versions")
    flexible = [] if api.flexible_from == OPEN else ["flex", f"{api.flexible_from}+"]
    return [f"{api.versions.low}-{api.versions.high}", *flexible]


def parse_file(path: Path) -> SpecFile:
    try:
        return parse_text(path, path.read_text(encoding="utf-8"))
    except SpecError as error:
        raise SpecError(f"{path.name}: {error}") from None


def parse_folder(folder: Path) -> list[SpecFile]:
    """Every .spec of a folder, in the order of the names."""
    return [parse_file(path) for path in sorted(folder.glob("*.spec"))]


def snake(name: str) -> str:
    """Kafka's CamelCase → snake_case; KRaft is one word."""
    name = name.replace("KRaft", "Kraft")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def camel(name: str) -> str:
    """The name in the JSON form: Kafka's with a small first letter."""
    return name[0].lower() + name[1:]
