"""A member of a share group that fetches and acknowledges by single requests."""

from collections.abc import Sequence
from typing import Any

from pykbroker.ids import Uuid
from pykbroker.protocol.messages.share_acknowledge import AcknowledgementBatch as AcknowledgeBatch
from pykbroker.protocol.messages.share_acknowledge import (
    AcknowledgePartition,
    AcknowledgeTopic,
    ShareAcknowledgeRequest,
)
from pykbroker.protocol.messages.share_fetch import (
    AcknowledgementBatch,
    FetchPartition,
    FetchTopic,
    ForgottenTopic,
    ShareFetchRequest,
)
from tests.handlers.broker.asker import Asker, Topic
from tests.handlers.cluster_asker import eventually
from tests.handlers.share_state_dialogue import ShareState

# (first offset, last offset, acknowledge types)
Ack = tuple[int, int, list[int]]
GAP, ACCEPT, RELEASE, REJECT, RENEW = 0, 1, 2, 3, 4
OPTIMIZED, LIMITED = 0, 1


class Shared:
    """One topic of two partitions whose first one has state for a group: it begins at offset 0."""

    def __init__(self, asker: Asker, topic: Topic | None = None, group: str | None = None) -> None:
        self.asker = asker
        self.state = ShareState(asker, topic, group)
        self.topic = self.state.topic
        self.group = self.state.group
        assert self.state.initialize(start_offset=0).error_code == 0

    def member(self) -> "Member":
        return Member(self)


class Member:
    """`epoch` is what its next request carries."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.id = str(Uuid.random())
        self.epoch = 0

    def fetch(
        self,
        *acks: Ack,
        version: int = 2,
        partitions: Sequence[int] = (0,),
        topic: Topic | None = None,
        forget: Sequence[int] = (),
        **fields: Any,
    ) -> Any:
        """The response. Partitions are named in the first request, and when there is something to acknowledge."""
        topic = topic or self.shared.topic
        batches = [AcknowledgementBatch(first, last, types) for first, last, types in acks]
        named = partitions if self.epoch == 0 or acks else ()
        rows = [FetchPartition(index, batches if index == 0 else []) for index in named]
        request = ShareFetchRequest(
            **{
                "group_id": self.shared.group,
                "member_id": self.id,
                "share_session_epoch": self.epoch,
                "max_wait_ms": 500,
                "min_bytes": 1,
                "max_bytes": 1 << 20,
                "max_records": 500,
                "batch_size": 500,
                **fields,
            },
            topics=[FetchTopic(topic.id, rows)] if rows else [],
            forgotten_topics_data=[ForgottenTopic(topic.id, list(forget))] if forget else [],
        )
        response = self.shared.asker.ask(request, version)
        if response.error_code == 0 and "share_session_epoch" not in fields:
            self.epoch += 1
        return response

    def take(self, **fields: Any) -> list[tuple[int, int, int]]:
        """What it acquires of partition 0, once there is something."""
        return acquired(eventually(lambda: self.fetch(**fields), lambda response: bool(acquired(response))))

    def acknowledge(self, *acks: Ack, version: int = 2, topic: Topic | None = None, **fields: Any) -> Any:
        topic = topic or self.shared.topic
        batches = [AcknowledgeBatch(first, last, types) for first, last, types in acks]
        request = ShareAcknowledgeRequest(
            **{
                "group_id": self.shared.group,
                "member_id": self.id,
                "share_session_epoch": self.epoch,
                "topics": [AcknowledgeTopic(topic.id, [AcknowledgePartition(0, batches)])],
                **fields,
            }
        )
        response = self.shared.asker.ask(request, version)
        if response.error_code == 0 and "share_session_epoch" not in fields:
            self.epoch += 1
        return response

    def acknowledged(self, *acks: Ack, **fields: Any) -> tuple[int, str | None]:
        """(error code, message) of partition 0."""
        (topic,) = self.acknowledge(*acks, **fields).responses
        (row,) = topic.partitions
        return row.error_code, row.error_message


def rows_of(response: Any) -> dict[int, Any]:
    assert response.error_code == 0, response
    return {row.partition_index: row for topic in response.responses for row in topic.partitions}


def acquired(response: Any, partition: int = 0) -> list[tuple[int, int, int]]:
    """(first offset, last offset, delivery count)"""
    row = rows_of(response).get(partition)
    if row is None:
        return []
    return [(one.first_offset, one.last_offset, one.delivery_count) for one in row.acquired_records]


def codes(response: Any) -> dict[int, tuple[int, int]]:
    """(error code, acknowledge error code) by partition."""
    return {index: (row.error_code, row.acknowledge_error_code) for index, row in rows_of(response).items()}
