"""Request frames, encoded before the clock starts, and a connection that wastes no time on their answers."""

import socket
import struct
import time
from collections.abc import Mapping
from typing import Self

from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.headers import encode_request_header
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from pykbroker.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pykbroker.protocol.messages.produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData
from pykbroker.record.builder import build_batch

PRODUCE_VERSION = 9
FETCH_VERSION = 12
METADATA_VERSION = 12
CREATE_TOPICS_VERSION = 7
ALTER_CONFIGS_VERSION = 1
DESCRIBE_CONFIGS_VERSION = 4
_FLEXIBLE_BODY = 5  # bytes before the body of an answer: correlation id, tagged fields
RECORD_SIZE = 1000


def frame(api_key: ApiKey, version: int, request: Message) -> bytes:
    """A request frame with its length prefix."""
    out = bytearray(4)
    encode_request_header(out, api_key, version, 1, "bench")
    request.encode_into(out, version)
    struct.pack_into(">i", out, 0, len(out) - 4)
    return bytes(out)


def batch_of(records: int, record_size: int = RECORD_SIZE) -> bytes:
    now = time.time_ns() // 1_000_000
    value = (bytes(range(256)) * (record_size // 256 + 1))[:record_size]
    return bytes(build_batch([(None, value, [], now)] * records))


def produce_frame(topic: str, partition: int, batch: bytes, acks: int = 1) -> bytes:
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=partition, records=batch)])
    return frame(ApiKey.PRODUCE, PRODUCE_VERSION, ProduceRequest(acks=acks, timeout_ms=10_000, topic_data=[data]))


def fetch_frame(topic: str, partition: int, offset: int, max_bytes: int) -> bytes:
    """Fetch without a session of at most `max_bytes`, answered as soon as there is something."""
    asked = FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=max_bytes)
    topics = [FetchTopic(topic=topic, partitions=[asked])]
    request = FetchRequest(max_wait_ms=500, min_bytes=1, max_bytes=max_bytes, topics=topics)
    return frame(ApiKey.FETCH, FETCH_VERSION, request)


def metadata_frame(topic: str) -> bytes:
    """Metadata of one topic, which creates it."""
    return frame(ApiKey.METADATA, METADATA_VERSION, MetadataRequest(topics=[MetadataRequestTopic(name=topic)]))


def create_topic_frame(
    topic: str, partitions: int, replication_factor: int = 1, configs: Mapping[str, str] | None = None
) -> bytes:
    rows = [CreatableTopicConfig(name=name, value=value) for name, value in (configs or {}).items()]
    creatable = CreatableTopic(
        name=topic, num_partitions=partitions, replication_factor=replication_factor, configs=rows
    )
    return frame(
        ApiKey.CREATE_TOPICS, CREATE_TOPICS_VERSION, CreateTopicsRequest(topics=[creatable], timeout_ms=30_000)
    )


def alter_config_frame(resource_type: int, resource: str, name: str, value: str) -> bytes:
    """Sets one config."""
    rows = [AlterableConfig(name=name, config_operation=0, value=value)]
    resources = [AlterConfigsResource(resource_type=resource_type, resource_name=resource, configs=rows)]
    request = IncrementalAlterConfigsRequest(resources=resources)
    return frame(ApiKey.INCREMENTAL_ALTER_CONFIGS, ALTER_CONFIGS_VERSION, request)


def describe_config_frame(resource_type: int, resource: str, name: str) -> bytes:
    asked = DescribeConfigsResource(resource_type=resource_type, resource_name=resource, configuration_keys=[name])
    return frame(ApiKey.DESCRIBE_CONFIGS, DESCRIBE_CONFIGS_VERSION, DescribeConfigsRequest(resources=[asked]))


def produce_error(answer: bytes | memoryview) -> int:
    """The error code of the only partition of a Produce answer."""
    response, _ = ProduceResponse.decode(answer, PRODUCE_VERSION, _FLEXIBLE_BODY)
    return response.responses[0].partition_responses[0].error_code


def create_topic_error(answer: bytes | memoryview) -> int:
    response, _ = CreateTopicsResponse.decode(answer, CREATE_TOPICS_VERSION, _FLEXIBLE_BODY)
    return response.topics[0].error_code


def alter_config_error(answer: bytes | memoryview) -> int:
    response, _ = IncrementalAlterConfigsResponse.decode(answer, ALTER_CONFIGS_VERSION, _FLEXIBLE_BODY)
    return response.responses[0].error_code


def config_value(answer: bytes | memoryview) -> str | None:
    """Of the only config of a DescribeConfigs answer."""
    response, _ = DescribeConfigsResponse.decode(answer, DESCRIBE_CONFIGS_VERSION, _FLEXIBLE_BODY)
    return response.results[0].configs[0].value


class Wire:
    """A blocking connection; answers are received into one buffer that is used again and again."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(1 << 16))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self, request: bytes) -> None:
        self._socket.sendall(request)

    def receive(self) -> memoryview:
        """The next answer without its length prefix, valid until the next call."""
        self._fill(4)
        size = int.from_bytes(self._buffer[:4], "big")
        if size > len(self._buffer):
            self._buffer = memoryview(bytearray(size))
        self._fill(size)
        return self._buffer[:size]

    def receive_only(self) -> memoryview:
        """The same when no other answer is under way: with one system call for a short one."""
        count = self._receive_into(self._buffer)
        while count < 4:
            count += self._receive_into(self._buffer[count:4])
        end = 4 + int.from_bytes(self._buffer[:4], "big")
        if end > len(self._buffer):
            raise RuntimeError(f"an answer of {end} bytes")
        while count < end:
            count += self._receive_into(self._buffer[count:end])
        return self._buffer[4:end]

    def ask(self, request: bytes) -> memoryview:
        self.send(request)
        return self.receive()

    def _fill(self, size: int) -> None:
        position = 0
        while position < size:
            position += self._receive_into(self._buffer[position:size])

    def _receive_into(self, part: memoryview) -> int:
        count = self._socket.recv_into(part)
        if not count:
            raise ConnectionError("the broker closed the connection")
        return count
