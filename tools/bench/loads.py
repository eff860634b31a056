"""Client loads: confluent-kafka producing and consuming, and tiny requests from many connections."""

import select
import socket
import struct
import time
import uuid

from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.headers import encode_request_header
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pykbroker.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from pykbroker.record.builder import build_batch

PRODUCE_VERSION = 9
METADATA_VERSION = 12


def new_topic(bootstrap: str, partitions: int) -> str:
    from confluent_kafka.admin import AdminClient, NewTopic

    topic = f"bench-{uuid.uuid4().hex[:8]}"
    client = AdminClient({"bootstrap.servers": bootstrap})
    client.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)
    return topic


def produce(bootstrap: str, topic: str, megabytes: int, record_size: int = 1000) -> float:
    """Seconds for confluent-kafka to produce and get acknowledged; 1 KB records in large batches."""
    from confluent_kafka import Producer

    settings = {"linger.ms": 20, "batch.size": 1_000_000, "queue.buffering.max.messages": 200_000}
    producer = Producer({"bootstrap.servers": bootstrap, **settings})
    value = bytes(range(256)) * 4
    value = value[:record_size]
    started = time.monotonic()
    for _ in range(megabytes * 1_000_000 // record_size):
        while True:
            try:
                producer.produce(topic, value)
                break
            except BufferError:
                producer.poll(0.05)
    if producer.flush(120):
        raise RuntimeError("not everything was acknowledged")
    return time.monotonic() - started


def consume(bootstrap: str, topic: str, megabytes: int, record_size: int = 1000) -> float:
    """Seconds for confluent-kafka to read the topic from its start."""
    from confluent_kafka import Consumer

    settings = {
        "auto.offset.reset": "earliest",
        "fetch.message.max.bytes": 1_048_576,
        "queued.max.messages.kbytes": 262_144,
    }
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "enable.auto.commit": False, **settings})
    consumer.subscribe([topic])
    wanted = megabytes * 1_000_000 // record_size
    found = 0
    started = 0.0
    deadline = time.monotonic() + 120
    while found < wanted:
        found += len(consumer.consume(10_000, 0.2))
        if found and not started:
            started = time.monotonic()
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {found} of {wanted} records came")
    elapsed = time.monotonic() - started
    consumer.close()
    return elapsed


def frame(api_key: ApiKey, version: int, request: Message) -> bytes:
    """A request frame with its length prefix."""
    out = bytearray(4)
    encode_request_header(out, api_key, version, 1, "bench")
    request.encode_into(out, version)
    struct.pack_into(">i", out, 0, len(out) - 4)
    return bytes(out)


def tiny_produce_frame(topic: str, partition: int, acks: int = 1) -> bytes:
    """Produce with one record of ten bytes."""
    batch = build_batch([(None, b"0123456789", [], 1_700_000_000_000)])
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=partition, records=batch)])
    return frame(ApiKey.PRODUCE, PRODUCE_VERSION, ProduceRequest(acks=acks, timeout_ms=10_000, topic_data=[data]))


def metadata_frame(topic: str) -> bytes:
    """Metadata of one topic, which creates it."""
    return frame(ApiKey.METADATA, METADATA_VERSION, MetadataRequest(topics=[MetadataRequestTopic(name=topic)]))


def read_frame(connection: socket.socket) -> bytes:
    """One answer, without its length prefix."""
    with connection.makefile("rb", buffering=0) as stream:
        size = int.from_bytes(stream.read(4), "big")
        answer = b""
        while len(answer) < size:
            answer += stream.read(size - len(answer))
    return answer


def produce_error(answer: bytes) -> int:
    """The error code of the only partition in an answer to tiny_produce_frame."""
    response, _ = ProduceResponse.decode(answer, PRODUCE_VERSION, 5)
    return response.responses[0].partition_responses[0].error_code


def tiny_requests(address: tuple[str, int], frames: list[bytes], connections: int, seconds: float) -> tuple[int, float]:
    """Requests answered and seconds: each connection has one request in flight, over and over, from one epoll loop."""
    poller = select.epoll()
    sockets: dict[int, socket.socket] = {}
    frame_of: dict[int, bytes] = {}
    for i in range(connections):
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[connection.fileno()] = connection
        frame_of[connection.fileno()] = frames[i % len(frames)]
        poller.register(connection, select.EPOLLIN)
    answered = 0
    started = time.monotonic()
    end = started + seconds
    for fd, connection in sockets.items():
        connection.send(frame_of[fd])
    while time.monotonic() < end:
        for fd, _ in poller.poll(1):
            if not sockets[fd].recv(4096):
                raise RuntimeError("the broker closed a connection")
            answered += 1
            sockets[fd].send(frame_of[fd])
    elapsed = time.monotonic() - started
    for connection in sockets.values():
        connection.close()
    poller.close()
    return answered, elapsed
