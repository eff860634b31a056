"""The dialogues of tests/handlers/broker over a socket: what they expect is what the real Kafka answers."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from compat_tests.wire.raw_client import ConnectionClosed, RawClient
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from pykbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pykbroker.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from tests.handlers.broker.asker import Topic

DEADLINE_SECONDS = 20


class SocketAsker:
    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.client = RawClient(bootstrap)

    def ask(self, request: Message, version: int) -> Any:
        return self.client.ask(request, version)

    def is_refused(self, request: Message, version: int) -> bool:
        with RawClient(self.bootstrap) as client:
            client.send(request, version)
            try:
                client.ask(ApiVersionsRequest(client_software_name="raw", client_software_version="1"), 3)
            except ConnectionClosed:
                return True
            return False

    def create(self, partitions: int = 1, name: str | None = None, **configs: str) -> Topic:
        name = name or f"topic-{uuid.uuid4().hex[:8]}"
        settings = [CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()]
        topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1, configs=settings)
        response = self.ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 7)
        assert response.topics[0].error_code == 0, response
        self._await(name, range(partitions), ErrorCode.NONE)
        return Topic(name, Uuid(response.topics[0].topic_id))

    def delete(self, topic: Topic) -> None:
        response = self.ask(DeleteTopicsRequest(topics=[DeleteTopicState(name=topic.name)], timeout_ms=10_000), 6)
        assert response.responses[0].error_code == 0, response
        self._await(topic.name, range(1), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    def _await(self, name: str, partitions: range, code: int) -> None:
        """A real broker follows its controller a moment later."""
        asked = [ListOffsetsPartition(partition_index=index, timestamp=-1) for index in partitions]
        request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=name, partitions=asked)])
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            rows = self.ask(request, 8).topics[0].partitions
            if {row.error_code for row in rows} == {code}:
                return
        raise TimeoutError(f"partitions of {name} do not answer {code}")


@pytest.fixture
def asker(bootstrap: str) -> Iterator[SocketAsker]:
    asker = SocketAsker(bootstrap)
    yield asker
    asker.client.close()


@pytest.fixture
def coordinated(asker: SocketAsker) -> SocketAsker:
    """The dialogues about transactions and share states."""
    return asker


@pytest.fixture
def sharing(asker: SocketAsker) -> SocketAsker:
    """The dialogues about records of share groups."""
    return asker


@pytest.fixture
def cluster(asker: SocketAsker) -> SocketAsker:
    """The dialogues about topics and brokers."""
    return asker
