"""Whom the dialogues about topics and brokers ask: handlers and the embedded controller in memory, or any broker."""

import time
import uuid
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import trio
import trio.testing

from pykbroker.ids import Uuid
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from pykbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pykbroker.share.share_loop import ShareLoop
from tests.controller.stand import ClusterStand
from tests.handlers.broker.asker import Asker, MemoryAsker, Topic

DEADLINE_SECONDS = 20


class ClusterAsker(MemoryAsker):
    """The handlers behind the dispatcher, on a ClusterStand."""

    SERVED = (
        ApiKey.METADATA,
        ApiKey.FIND_COORDINATOR,
        ApiKey.API_VERSIONS,
        ApiKey.CREATE_TOPICS,
        ApiKey.DESCRIBE_CONFIGS,
        ApiKey.ALTER_CONFIGS,
        ApiKey.INCREMENTAL_ALTER_CONFIGS,
        ApiKey.DELETE_TOPICS,
        ApiKey.CREATE_PARTITIONS,
        ApiKey.ELECT_LEADERS,
        ApiKey.ALTER_PARTITION_REASSIGNMENTS,
        ApiKey.LIST_PARTITION_REASSIGNMENTS,
        ApiKey.DESCRIBE_QUORUM,
        ApiKey.UPDATE_FEATURES,
        ApiKey.UNREGISTER_BROKER,
        ApiKey.ADD_RAFT_VOTER,
        ApiKey.REMOVE_RAFT_VOTER,
        ApiKey.LIST_CONFIG_RESOURCES,
        ApiKey.DESCRIBE_CLUSTER,
        ApiKey.DESCRIBE_TOPIC_PARTITIONS,
        ApiKey.LIST_OFFSETS,
        ApiKey.PRODUCE,
        ApiKey.FETCH,
        ApiKey.OFFSET_FETCH,
        ApiKey.INIT_PRODUCER_ID,
        ApiKey.ADD_PARTITIONS_TO_TXN,
        ApiKey.ADD_OFFSETS_TO_TXN,
        ApiKey.END_TXN,
        ApiKey.WRITE_TXN_MARKERS,
        ApiKey.TXN_OFFSET_COMMIT,
        ApiKey.DESCRIBE_PRODUCERS,
        ApiKey.DESCRIBE_TRANSACTIONS,
        ApiKey.LIST_TRANSACTIONS,
        ApiKey.INITIALIZE_SHARE_GROUP_STATE,
        ApiKey.READ_SHARE_GROUP_STATE,
        ApiKey.WRITE_SHARE_GROUP_STATE,
        ApiKey.DELETE_SHARE_GROUP_STATE,
        ApiKey.READ_SHARE_GROUP_STATE_SUMMARY,
    )

    def __init__(self, stand: ClusterStand) -> None:
        super().__init__(stand)  # type: ignore[arg-type]
        self._names = count(1)

    def create(self, partitions: int = 1, name: str | None = None, **configs: str) -> Topic:
        name = name or f"topic-{next(self._names)}"
        settings = [CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()]
        topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1, configs=settings)
        (row,) = self.ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 7).topics
        assert row.error_code == 0, row
        return Topic(name, Uuid(row.topic_id))

    def delete(self, topic: Topic) -> None:
        (row,) = self.ask(
            DeleteTopicsRequest(topics=[DeleteTopicState(name=topic.name)], timeout_ms=10_000), 6
        ).responses
        assert row.error_code == 0, row


class ShareAsker(ClusterAsker):
    """With the tasks of the share partitions."""

    SERVED = (*ClusterAsker.SERVED, ApiKey.SHARE_FETCH, ApiKey.SHARE_ACKNOWLEDGE, ApiKey.DELETE_RECORDS)

    async def _ask(self, frame: bytearray) -> bytes:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ShareLoop(self.stand.share_partitions, self.stand.clock).run)
            answer = await super()._ask(frame)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        return answer


def unique(prefix: str = "topic") -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def eventually(ask: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """The first answer for which it holds: a real broker follows its controller a moment later."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        answer = ask()
        if holds(answer):
            return answer
    raise TimeoutError(answer)


def metadata(asker: Asker, topics: Iterable[str | Uuid | None] | None, version: int = 13, **fields: Any) -> Any:
    """The answer for topics by name or id; None among them: neither. It creates nothing, unless `fields` say so."""
    asked = None if topics is None else [_asked(topic) for topic in topics]
    if version >= 4:
        fields.setdefault("allow_auto_topic_creation", False)
    return asker.ask(MetadataRequest(topics=asked, **fields), version)


def _asked(topic: str | Uuid | None) -> MetadataRequestTopic:
    return (
        MetadataRequestTopic(topic_id=topic, name=None) if isinstance(topic, Uuid) else MetadataRequestTopic(name=topic)
    )


def topics_of(response: Any) -> dict[str | None, Any]:
    """The rows by name."""
    rows = {row.name: row for row in response.topics}
    assert len(rows) == len(response.topics)
    return rows
