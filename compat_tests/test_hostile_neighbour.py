"""While others send garbage, bombs and floods, a well-behaved producer and consumer lose nothing.

Issue 4, section 4; scenarios.md number 32: one handler fails, all other connections go on (Nisshi FINDINGS.md).
"""

import random
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from compat_tests.brokers import PykbrokerProcess, pykbroker
from pykbroker.protocol.apis import ApiKey
from tools.fuzz.corpus import header_of, plain
from tools.fuzz.mutate import Mutator

pytestmark = pytest.mark.own_broker
RECORDS = 20_000
ATTACKERS = 4
TIMEOUT = 60


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PykbrokerProcess]:
    with pykbroker(tmp_path / "data", "group.min.session.timeout.ms=1000", "delete.topic.enable=false") as running:
        yield running


class Attacker(threading.Thread):
    """Opens one connection after the other, sends something that nobody should, and looks at nothing that comes."""

    def __init__(self, broker: PykbrokerProcess, seed: int) -> None:
        super().__init__(daemon=True)
        self._broker = broker
        self._random = random.Random(seed)
        frames = [frame.data for frame in plain() if int.from_bytes(frame.data[:2], "big") not in HARMFUL]
        self._mutator = Mutator(seed, frames)
        self._frames = frames
        self._kept: list[socket.socket] = []
        self.ended = threading.Event()
        self.attacks = 0

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self._attack()
            except OSError:
                pass  # hung up on, as it deserves
            self.attacks += 1
        for one in self._kept:
            one.close()

    def _attack(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._broker.port), TIMEOUT)
        self._kept.append(connection)
        if len(self._kept) > 50:
            self._kept.pop(0).close()
        connection.sendall(self._random.choice((self._garbage, self._announcement, self._mutated, self._flood))())

    def _garbage(self) -> bytes:
        return self._random.choice(
            (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", self._random.randbytes(100))
        )

    def _announcement(self) -> bytes:
        return struct.pack(">i", 100 << 20) + header_of(ApiKey.PRODUCE, 9) + bytes(1000)

    def _mutated(self) -> bytes:
        data = self._mutator.mutate(self._random.choice(self._frames), 8)
        return struct.pack(">i", len(data)) + data

    def _flood(self) -> bytes:
        """Many requests in one piece; their answers are not read."""
        body = header_of(ApiKey.API_VERSIONS, 0)
        return (struct.pack(">i", len(body)) + body) * 200


# What an anonymous client may do where nothing forbids it: these would be no accidents.
HARMFUL = frozenset(
    (
        ApiKey.DELETE_TOPICS,
        ApiKey.DELETE_RECORDS,
        ApiKey.ALTER_CONFIGS,
        ApiKey.INCREMENTAL_ALTER_CONFIGS,
        ApiKey.DELETE_GROUPS,
        ApiKey.OFFSET_DELETE,
        ApiKey.UNREGISTER_BROKER,
        ApiKey.WRITE_TXN_MARKERS,
        ApiKey.UPDATE_FEATURES,
        ApiKey.ALTER_PARTITION_REASSIGNMENTS,
        ApiKey.ELECT_LEADERS,
    )
)


def test_a_well_behaved_client_loses_nothing(broker: PykbrokerProcess) -> None:
    attackers = [Attacker(broker, seed) for seed in range(ATTACKERS)]
    for attacker in attackers:
        attacker.start()
    try:
        produced = produce(broker.bootstrap)
        consumed = consume(broker.bootstrap)
    finally:
        for attacker in attackers:
            attacker.ended.set()
        for attacker in attackers:
            attacker.join(TIMEOUT)
    assert consumed == produced
    assert sum(attacker.attacks for attacker in attackers) > 100
    assert "because of a bug" not in broker.errors.read_text()


def produce(bootstrap: str) -> list[int]:
    """What was acknowledged, in order."""
    acknowledged: list[int] = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
    for number in range(RECORDS):
        value = str(number).encode()
        producer.produce(
            "precious", value, on_delivery=lambda error, message: acknowledged.append(int(message.value()))
        )
        if number % 100 == 0:
            producer.poll(0.01)
    assert producer.flush(TIMEOUT) == 0
    assert acknowledged == list(range(RECORDS))
    return acknowledged


def consume(bootstrap: str) -> list[int]:
    """By a group, until all are there."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "careful", "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe(["precious"])
    found: list[int] = []
    while len(found) < RECORDS:
        messages = consumer.consume(1000, timeout=TIMEOUT)
        assert messages
        for message in messages:
            assert message.error() is None
            found.append(int(message.value()))
    consumer.close()
    return found
