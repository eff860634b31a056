"""Counts and lengths that lie, in headers and in every served API: nothing is allocated for what is not there."""

import random
from typing import Any

import pytest

from pykbroker.dispatch import SERVED
from pykbroker.protocol.apis import API_TABLE, ApiKey
from pykbroker.protocol.primitives import write_uvarint
from tests.golden_data import golden_lines
from tests.hostile.broker_process import WatchedBroker, framed, header
from tools.fuzz.corpus import header_of

LIES = [bytes.fromhex(text) for text in ("7fffffff", "ffffffff07", "80000000", "ffffffffffffffffff01")]
POSITIONS = 8  # of each message; all of them are tried in tests/protocol/test_hostile.py, without sockets


def fullest(name: str) -> dict[str, Any]:
    lines = [line for line in golden_lines(f"wire/{name}.jsonl.gz") if line["kind"] == "request"]
    return next(line for line in reversed(lines) if line["case"] == "full" and "unstable" not in line)


@pytest.mark.parametrize("key", SERVED, ids=lambda key: key.name)
def test_lies_in_bodies(key: ApiKey, broker: WatchedBroker) -> None:
    """An array of 2^31-1 elements in a tiny request: broker OOM, apache/kafka#12399 (KAFKA-14063); 16 GB for less than
    4 KB: redpanda#8513; kafka-protocol-rs#200; a compact length beyond the buffer: IBM/sarama#2658."""
    name = API_TABLE[key].name
    line = fullest(name)
    start, body = header_of(key, line["version"]), bytes.fromhex(line["hex"])
    rng = random.Random(int(key))
    for lie in LIES:
        for at in [0, *(rng.randrange(len(body) + 1) for _ in range(POSITIONS))]:
            frame = framed(start + body[:at] + lie + body[at + len(lie) :])
            with broker.connect() as connection:
                connection.sendall(frame)
                connection.settimeout(0)  # answered, refused or waiting: all of it is right, if others go on
    assert broker.is_serving()
    others = [text for text in broker.log() if "Closed connection" not in text or f": {name}" not in text]
    assert not others


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (header(ApiKey.METADATA, 8, client_id=b"\x7f\xff"), "32767"),
        (header(ApiKey.METADATA, 12, tags=bytes.fromhex("ffffffff0f")), "tag"),
        (header(ApiKey.METADATA, 12, tags=bytes.fromhex("8080808080808080808001")), ""),
        (header(ApiKey.METADATA, 12, tags=bytes.fromhex("0100ffffffff07")), ""),
        (header(ApiKey.METADATA, 12, tags=bytes.fromhex("01ffffffff0fffffffff0f")), ""),
    ],
    ids=lambda value: value[-12:].hex() if isinstance(value, bytes) else None,
)
def test_lies_in_headers(start: bytes, said: str, broker: WatchedBroker) -> None:
    """A huge varint length of a tagged field: redpanda#30160."""
    assert broker.is_closed_by(framed(start + bytes(20)))
    (line,) = broker.log()
    assert "Closed connection" in line
    assert said in line


@pytest.mark.parametrize("count", [1001, 1_000_000])
def test_a_bomb_of_tagged_fields(count: int, broker: WatchedBroker) -> None:
    """They are all there, unknown and empty; each would cost fifty times what it weighs."""
    bomb = bytearray()
    write_uvarint(bomb, count)
    for tag in range(count):
        write_uvarint(bomb, tag)
        bomb.append(0)
    assert broker.is_closed_by(framed(header(ApiKey.METADATA, 12, tags=bytes(bomb)) + b"\1\0\0\0"))
    (line,) = broker.log()
    assert f"tagged fields: {count} elements" in line


def test_a_client_id_as_long_as_can_be(broker: WatchedBroker) -> None:
    with broker.connect() as connection:
        for name in (b"x" * 32_767, b"\n2026 ERROR forged: line\n", b"\xff" * 100):
            client_id = len(name).to_bytes(2, "big") + name
            connection.sendall(framed(header(ApiKey.METADATA, 8, client_id=client_id) + b"\0\0\0\0\0\0\0"))
            assert connection.recv(65_536)
    assert broker.log() == []
