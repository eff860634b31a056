"""What real brokers said to a real controller, one connection after the other."""

from collections.abc import Iterator
from typing import NamedTuple

from pykbroker.protocol.headers import decode_request_header, decode_response_header
from pykbroker.protocol.lookup import request_class, response_class
from pykbroker.protocol.message import Message
from tests.golden_data import golden_lines


class Exchange(NamedTuple):
    time: float
    connection: int
    api_key: int
    request: Message
    response: Message


def exchanges(name: str, client_id: str) -> Iterator[Exchange]:
    """Answered requests of a client in the order of their answers."""
    asked: dict[tuple[int, int], Message] = {}
    for line in golden_lines(f"conversations/{name}.jsonl.gz"):
        if "note" in line:
            continue
        raw, key, version, connection = bytes.fromhex(line["hex"]), line["key"], line["ver"], line["conn"]
        if line["dir"] == ">":
            header = decode_request_header(raw)
            if header.client_id == client_id:
                request = request_class(key).decode(raw, version, header.body_position)[0]
                asked[connection, header.correlation_id] = request
            continue
        correlation_id, position = decode_response_header(raw, key, version)
        found = asked.pop((connection, correlation_id), None)
        if found is not None:
            response = response_class(key).decode(raw, version, position)[0]
            yield Exchange(line["t"], connection, key, found, response)
