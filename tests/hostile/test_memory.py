"""What connections may hold: little each, bounded all together, nothing when they are gone."""

import contextlib
import socket
import struct

from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from tests.hostile.broker_process import MIB, WatchedBroker, framed, header

ANNOUNCED = 100 * MIB
CONNECTS = 5000
AT_ONCE = 100


def produce_start(size: int) -> bytes:
    return struct.pack(">i", size) + header(ApiKey.PRODUCE, 9, tags=b"\0")


def test_announcements_cost_nothing(broker: WatchedBroker) -> None:
    """32 connections announce 100 MiB each and send 1 kB: real Kafka dies of 16 (scenarios.md; CVE-2022-34917)."""
    before = broker.memory()
    with contextlib.ExitStack() as stack:
        for _ in range(32):
            stack.enter_context(broker.connect()).sendall(produce_start(ANNOUNCED) + bytes(1000))
        assert broker.is_serving()
        assert broker.peak() - before < 8 * MIB
    assert broker.log() == []


def test_large_frames_that_never_end_are_bounded_together(broker: WatchedBroker) -> None:
    """Each sends 1 MiB of its 100: what has come is held, at most four times over."""
    before = broker.memory()
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(broker.connect()).sendall(produce_start(ANNOUNCED) + bytes(MIB))
        assert broker.is_serving()
        assert broker.peak() - before < 8 * 4 * MIB + 4 * MIB


def test_who_never_reads_is_not_answered_without_end(broker: WatchedBroker) -> None:
    """Answers wait at the sender: thousands of requests, each with a large answer, pile up in its socket, not here."""
    rows = [MetadataRequestTopic(name=f"nobody-{number}") for number in range(2000)]
    body = header(ApiKey.METADATA, 8) + MetadataRequest(topics=rows, allow_auto_topic_creation=False).encode(8)
    before = broker.memory()
    with broker.connect() as deaf:
        deaf.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 400:
                deaf.send(framed(body))
                sent += 1
        for _ in range(20):
            assert broker.is_serving()
        assert broker.peak() - before < 8 * MIB


def come_and_go(broker: WatchedBroker) -> None:
    connections = [broker.connect() for _ in range(AT_ONCE)]
    for number, connection in enumerate(connections):
        if number % 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if number % 10 == 0:
            connection.sendall(produce_start(1000 + number))
        connection.close()
    assert broker.is_serving()


def test_thousands_come_and_go(broker: WatchedBroker) -> None:
    """Half of them politely, half of them by a reset, a few in the middle of a frame."""
    descriptors = broker.descriptors()
    before = 0
    for _ in range(CONNECTS // AT_ONCE):
        come_and_go(broker)
        before = before or broker.memory()  # what the first hundred took stays in pools
    broker.eventually(lambda: broker.descriptors() <= descriptors)
    assert broker.memory() - before < 4 * MIB
    assert broker.log() == []
