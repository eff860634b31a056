"""Client loads. Raw ones send frames encoded beforehand, so that two cores suffice for the load and the broker."""

import select
import socket
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tools.bench.wire import (
    RECORD_SIZE,
    Wire,
    batch_of,
    create_topic_error,
    create_topic_frame,
    fetch_frame,
    metadata_frame,
    produce_error,
    produce_frame,
)

Address = tuple[str, int]
RECORDS_PER_BATCH = 1000  # of 1 kB: as large as max.message.bytes allows
CONNECTIONS = 4  # of the raw producer and fetcher; a partition for each
WINDOW = 2  # requests under way on each
PATIENCE = 60  # seconds


def new_topic(address: Address, partitions: int) -> str:
    """A topic whose partitions all have a leader."""
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    probe = batch_of(1, 10)
    with Wire(address) as wire:
        if error := create_topic_error(wire.ask(create_topic_frame(topic, partitions))):
            raise RuntimeError(f"the topic was not created: error {error}")
        for partition in range(partitions):
            _until_accepted(wire, produce_frame(topic, partition, probe))
    return topic


def _until_accepted(wire: Wire, produce: bytes) -> None:
    """Real brokers follow their controller a moment later."""
    deadline = time.monotonic() + PATIENCE
    while error := produce_error(wire.ask(produce)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"a record is refused with error {error}")


def first_record(address: Address) -> None:
    """One record of an auto-created topic, acknowledged."""
    with Wire(address) as wire:
        wire.ask(metadata_frame("first"))
        _until_accepted(wire, produce_frame("first", 0, batch_of(1, 10), acks=-1))


def await_record(address: Address, topic: str, partition: int) -> None:
    """One record of a partition that may not have its leader yet, acknowledged."""
    with Wire(address) as wire:
        _until_accepted(wire, produce_frame(topic, partition, batch_of(1, 10), acks=-1))


def raw_produce(address: Address, topic: str, megabytes: int) -> float:
    """Seconds to produce 1 kB records in batches of 1 MB, acknowledged by the leader."""
    batch = batch_of(RECORDS_PER_BATCH)
    frames = [produce_frame(topic, partition, batch) for partition in range(CONNECTIONS)]
    answers = [bytes(16)] * CONNECTIONS
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(address)) for _ in range(CONNECTIONS)]
        started = time.monotonic()
        for number in range(max(megabytes, WINDOW * CONNECTIONS)):
            wire = wires[number % CONNECTIONS]
            if number >= WINDOW * CONNECTIONS:
                answers[number % CONNECTIONS] = bytes(wire.receive())
            wire.send(frames[number % CONNECTIONS])
        for _ in range(WINDOW):
            answers = [bytes(wire.receive()) for wire in wires]
        elapsed = time.monotonic() - started
    if any(map(produce_error, answers)):
        raise RuntimeError(f"produce errors: {[produce_error(answer) for answer in answers]}")
    return elapsed


def raw_fetch(address: Address, topic: str, megabytes: int) -> float:
    """Seconds to read what new_topic and raw_produce wrote, a batch of 1 MB per request."""
    size = len(batch_of(RECORDS_PER_BATCH))
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(address)) for _ in range(CONNECTIONS)]
        frames = [
            fetch_frame(topic, number % CONNECTIONS, 1 + number // CONNECTIONS * RECORDS_PER_BATCH, size)
            for number in range(megabytes)
        ]
        started = time.monotonic()
        for number, request in enumerate(frames):
            wire = wires[number % CONNECTIONS]
            if number >= WINDOW * CONNECTIONS:
                _expect(wire.receive(), size)
            wire.send(request)
        for number in range(max(0, megabytes - WINDOW * CONNECTIONS), megabytes):
            _expect(wires[number % CONNECTIONS].receive(), size)
        return time.monotonic() - started


def _expect(answer: memoryview, size: int) -> None:
    if not size <= len(answer) <= size + 1000:
        raise RuntimeError(f"an answer of {len(answer)} bytes where a batch of {size} was asked for")


def tiny_requests(address: Address, frames: Sequence[bytes], connections: int, seconds: float) -> tuple[int, float]:
    """Requests answered and seconds: each connection has one request in flight, over and over, from one epoll loop."""
    poller = select.epoll()
    buffer = bytearray(4096)
    sockets: dict[int, tuple[socket.socket, bytes]] = {}
    for i in range(connections):
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[connection.fileno()] = (connection, frames[i % len(frames)])
        poller.register(connection, select.EPOLLIN)
    answered = 0
    started = time.monotonic()
    end = started + seconds
    for connection, request in sockets.values():
        connection.send(request)
    while time.monotonic() < end:
        for fd, _ in poller.poll(1):
            connection, request = sockets[fd]
            if not connection.recv_into(buffer):
                raise ConnectionError("the broker closed a connection")
            answered += 1
            connection.send(request)
    elapsed = time.monotonic() - started
    for connection, _ in sockets.values():
        connection.close()
    poller.close()
    return answered, elapsed


def confluent_produce(bootstrap: str, topic: str, megabytes: int) -> float:
    """Seconds for confluent-kafka to produce 1 kB records in large batches and have them acknowledged."""
    from confluent_kafka import Producer

    settings = {"linger.ms": 20, "batch.size": 1_000_000, "queue.buffering.max.messages": 200_000}
    producer = Producer({"bootstrap.servers": bootstrap, **settings})
    value = (bytes(range(256)) * 4)[:RECORD_SIZE]
    started = time.monotonic()
    for _ in range(megabytes * 1_000_000 // RECORD_SIZE):
        while True:
            try:
                producer.produce(topic, value)
                break
            except BufferError:
                producer.poll(0.05)
    if producer.flush(PATIENCE):
        raise RuntimeError("not everything was acknowledged")
    return time.monotonic() - started


def confluent_consume(bootstrap: str, topic: str, partitions: int, megabytes: int) -> float:
    """Seconds from the first record for confluent-kafka to read the topic from its start."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    settings: dict[str, Any] = {"fetch.message.max.bytes": 1_048_576, "queued.max.messages.kbytes": 262_144}
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "enable.auto.commit": False, **settings})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    wanted = megabytes * 1_000_000 // RECORD_SIZE
    found = 0
    started = 0.0
    deadline = time.monotonic() + PATIENCE
    while found < wanted:
        found += len(consumer.consume(10_000, 0.2))
        if found and not started:
            started = time.monotonic()
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {found} of {wanted} records came")
    elapsed = time.monotonic() - started
    consumer.close()
    return elapsed
