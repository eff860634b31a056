"""Every decoder of the protocol against damaged bytes: MalformedFrame or a message, nothing else, at once."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.coordinator_records import parse_key
from pykbroker.protocol.headers import decode_request_header, decode_response_header
from pykbroker.protocol.lookup import message_class, request_class, response_class
from pykbroker.protocol.message import Message
from pykbroker.protocol.metadata_records import parse_record
from tests.golden_data import golden_lines, golden_path
from tools.fuzz.findings import Finding, Stall, stopwatch
from tools.fuzz.mutate import Mutator

Decode = Callable[[bytes], object]


class Sample(NamedTuple):
    name: str
    decode: Decode
    data: bytes


def samples() -> list[Sample]:
    """All golden messages of the wire and of logs, with their decoders; headers and frames of records too."""
    found = []
    for folder in ("wire", "persist"):
        for path in sorted(golden_path(folder).glob("*.jsonl.gz")):
            for line in golden_lines(f"{folder}/{path.name}"):
                found += list(_of_line(line))
    return found


def _of_line(line: dict[str, Any]) -> Iterator[Sample]:
    data = bytes.fromhex(line["hex"])
    name = f"{line.get('api') or line['message']} {line.get('kind', '')} v{line['version']}"
    if line.get("message") in ("RequestHeader", "ResponseHeader"):
        yield Sample("request header", decode_request_header, data)
        yield Sample("response header", lambda raw: decode_response_header(raw, 1, 17), data)
        return
    yield Sample(name, _decoder(_class_of(line), line["version"]), data)
    if "framed" in line:
        yield Sample(f"framed {name}", _parse_any, bytes.fromhex(line["framed"]))


def _class_of(line: dict[str, Any]) -> type[Message]:
    if "message" in line:
        return message_class(line["message"])
    return request_class(line["key"]) if line["kind"] == "request" else response_class(line["key"])


def _decoder(message: type[Message], version: int) -> Decode:
    def decode(raw: bytes) -> None:
        decoded, end = message.decode(raw, version)
        if not 0 <= end <= len(raw):
            raise AssertionError(f"decoded {end} of {len(raw)} bytes")
        _encodes(decoded, version)

    return decode


def _encodes(message: Message, version: int) -> None:
    """What could be decoded can be encoded: answers and records repeat what clients said."""
    message.encode(version)


def _parse_any(raw: bytes) -> None:
    """Framed records, whatever log they claim to be of."""
    failures = 0
    for parse in (parse_record, lambda data: parse_key("group", data), lambda data: parse_key("transaction", data)):
        try:
            parse(raw)
        except (MalformedFrame, KafkaError):
            failures += 1


def run(seed: int, inputs: int) -> Iterator[Finding]:
    corpus = samples()
    mutator = Mutator(seed, [sample.data for sample in corpus])
    for _ in range(inputs):
        sample = mutator.random.choice(corpus)
        data = mutator.mutate(sample.data)
        try:
            with stopwatch(sample.name):
                sample.decode(data)
        except (MalformedFrame, KafkaError):
            continue
        except (Exception, Stall) as error:
            yield Finding("decoders", f"{sample.name}: {type(error).__name__}: {error}", data)
