"""What is mutated: golden requests of the real Kafka, and the same aimed at topics and groups that exist."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from pykbroker.dispatch import SERVED
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.headers import encode_request_header
from pykbroker.protocol.lookup import request_class
from pykbroker.protocol.message import Message, Struct
from tests.golden_data import golden_lines, golden_path

GROUP = "group"
PARTITIONS = 2
NAME_FIELDS = frozenset(("topic", "name", "topic_name", "resource_name"))
GROUP_FIELDS = frozenset(("group_id", "key"))
DESTRUCTIVE = (ApiKey.CREATE_TOPICS, ApiKey.DELETE_TOPICS, ApiKey.LEAVE_GROUP, ApiKey.DELETE_GROUPS)
TRANSACTIONAL_ID = "transaction"
MAY_BE_PLAIN = ("ProduceRequest", "InitProducerIdRequest")
DOOMED = "doomed"  # topic and group that these are about, so that the others stay
# What would be refused before anything interesting happens, were it as random as recorded.
HARMLESS: dict[str, Any] = {
    "session_id": 0,
    "current_leader_epoch": -1,
    "num_partitions": 1,
    "replication_factor": 1,
    "assignments": [],
    "isolation_level": 1,
    "timeout_ms": 10_000,
    "max_wait_ms": 100,
    "max_bytes": 100_000,
    "partition_max_bytes": 10_000,
    "key_type": 0,
    "generation_id": 1,
    "generation_id_or_member_epoch": 1,
    "member_epoch": 1,
    "group_instance_id": None,
    "protocol_type": "consumer",
    "session_timeout_ms": 10_000,
    "rebalance_timeout_ms": 10_000,
    "endpoint_type": 1,
    "resource_type": 2,
    "config_operation": 0,
    "validate_only": False,
}


class Frame(NamedTuple):
    """A request frame without its length prefix; the first `body` bytes are its header; `request`: decoded."""

    data: bytes
    body: int
    version: int = -1
    request: Message | None = None


def recorded() -> Iterator[Frame]:
    """Requests that stock clients sent."""
    for path in sorted(golden_path("conversations").glob("*.jsonl.gz")):
        for line in golden_lines(f"conversations/{path.name}"):
            if line.get("kind") == "request" and line["key"] in SERVED:
                yield Frame(bytes.fromhex(line["hex"]), 8)


@cache
def vectors(name: str) -> list[dict[str, Any]]:
    """Golden requests of one API."""
    return [line for line in golden_lines(f"wire/{name}.jsonl.gz") if line["kind"] == "request"]


def served_vectors() -> Iterator[dict[str, Any]]:
    for path in sorted(golden_path("wire").glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        if name != "headers":
            yield from (line for line in vectors(name) if line["key"] in SERVED)


def framed(line: dict[str, Any], body: bytes) -> Frame:
    header = header_of(line["key"], line["version"])
    return Frame(header + body, len(header))


def header_of(key: int, version: int) -> bytes:
    out = bytearray()
    encode_request_header(out, key, version, 7, "fuzz")
    return bytes(out)


def plain() -> list[Frame]:
    """Every served API in every version, each as recorded."""
    found = [framed(line, bytes.fromhex(line["hex"])) for line in served_vectors()]
    return list(dict.fromkeys([*found, *recorded()]))


def aimed(topics: Mapping[str, Uuid], batches: list[bytes], member_id: str) -> list[Frame]:
    """The golden requests, but about these topics and one group with this member, with real batches to produce."""
    found = []
    aim = Aim(topics, batches, member_id)
    for line in served_vectors():
        if line["case"] not in ("full", "random1", "random2", "random3"):
            continue
        request, _ = request_class(line["key"]).decode(bytes.fromhex(line["hex"]), line["version"])
        aim.at(request, DOOMED if line["key"] in DESTRUCTIVE else None)
        try:
            frame = framed(line, bytes(request.encode(line["version"])))
        except (KafkaError, AttributeError, TypeError):
            continue  # aimed at something that this version cannot say
        found.append(frame._replace(version=line["version"], request=request))
    return found


class Aim:
    """Rewrites messages in place; takes topics and batches in turn."""

    def __init__(self, topics: Mapping[str, Uuid], batches: list[bytes], member_id: str) -> None:
        self._topics = list(topics.items())
        self._batches = batches
        self._member_id = member_id
        self._turn = 0

    def at(self, struct: Struct, only: str | None = None) -> None:
        self._turn += 1
        name, topic_id = self._topics[self._turn % len(self._topics)]
        name = only or name
        slots = [field for each in type(struct).__mro__ for field in getattr(each, "__slots__", ())]
        for field in slots:
            value = getattr(struct, field)
            if not value or value == -1:
                continue  # perhaps a field that this version does not have
            if isinstance(value, Struct):
                self.at(value, only)
            elif field in HARMLESS:
                setattr(struct, field, HARMLESS[field])
            elif isinstance(value, list):
                setattr(struct, field, self._list(field, value, name, only))
            elif field in NAME_FIELDS and isinstance(value, str) and not self._is_by_id(struct):
                setattr(struct, field, name)
            elif field == "topic_id":
                struct.topic_id = topic_id  # type: ignore[attr-defined]
            elif field in GROUP_FIELDS and isinstance(value, str):
                setattr(struct, field, only or GROUP)
            elif field in ("index", "partition", "partition_index") and isinstance(value, int):
                setattr(struct, field, value % PARTITIONS)
            elif field in ("fetch_offset", "timestamp", "offset") and isinstance(value, int):
                setattr(struct, field, value % 8 - 2)
            elif field == "records":
                struct.records = self._batches[self._turn % len(self._batches)]  # type: ignore[attr-defined]
            elif field == "transactional_id":
                setattr(struct, field, None if type(struct).__name__ in MAY_BE_PLAIN else TRANSACTIONAL_ID)
            elif field == "member_id":
                setattr(struct, field, self._member_id)
            elif field == "acks":
                struct.acks = self._turn % 3 - 1  # type: ignore[attr-defined]

    @staticmethod
    def _is_by_id(struct: Struct) -> bool:
        topic_id = getattr(struct, "topic_id", None)
        return topic_id is not None and any(topic_id)

    def _list(self, field: str, values: list[Any], name: str, only: str | None) -> list[Any]:
        for value in values:
            if isinstance(value, Struct):
                self.at(value, only)
        if values and isinstance(values[0], str):
            return [(only or GROUP) if "group" in field or "keys" in field else name]
        if values and isinstance(values[0], int) and "partition" in field:
            return [value % PARTITIONS for value in values]
        return values
