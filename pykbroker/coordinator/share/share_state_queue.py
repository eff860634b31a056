"""Questions about states of share partitions that other brokers keep (PersisterStateManager). Sans-I/O.

The five APIs are built alike: group, topics, partitions; results, partitions.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from pykbroker.coordinator.broker_queue import BrokerQueue
from pykbroker.errors import KafkaError
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.ids import Uuid
    from pykbroker.protocol.message import Message


class Answer(NamedTuple):
    """`result`: the struct that holds the rows of a topic in this response."""

    result: type[Any]
    row: Any


class _Entry(NamedTuple):
    request: type[Any]
    topic: type[Any]
    group_id: str
    topic_id: "Uuid"
    row: Any
    pending: Pending[Answer]

    @property
    def kind(self) -> tuple[int, str]:
        """What fits into one request."""
        return self.request.API_KEY, self.group_id


class ShareStateQueue(BrokerQueue[_Entry]):
    def ask(self, broker_id: int, request: Any, topic: Any, row: Any) -> Pending[Answer]:
        """One row of a topic of a request. Fails with a KafkaError when that broker does not answer it."""
        entry = _Entry(type(request), type(topic), request.group_id, topic.topic_id, row, Pending())
        self.put(broker_id, entry)
        return entry.pending

    def choose(self, entries: list[_Entry]) -> tuple[list[_Entry], list[_Entry]]:
        """One question about each partition of one group."""
        chosen: list[_Entry] = []
        left: list[_Entry] = []
        seen: set[tuple[Uuid, int]] = set()
        for entry in entries:
            where = (entry.topic_id, entry.row.partition)
            fits = entry.kind == entries[0].kind and where not in seen
            (chosen if fits else left).append(entry)
            if fits:
                seen.add(where)
        return chosen, left

    def request(self, entries: list[_Entry]) -> "tuple[int, int, Message]":
        first = entries[0]
        topics: dict[Uuid, list[Any]] = {}
        for entry in entries:
            topics.setdefault(entry.topic_id, []).append(entry.row)
        rows = [first.topic(topic_id=topic_id, partitions=partitions) for topic_id, partitions in topics.items()]
        return first.request.API_KEY, 0, first.request(group_id=first.group_id, topics=rows)

    def answer(self, entries: list[_Entry], response: Any) -> None:
        answers = {
            (result.topic_id, row.partition): Answer(type(result), row)
            for result in response.results
            for row in result.partitions
        }
        for entry in entries:
            found = answers.get((entry.topic_id, entry.row.partition))
            if found is None:
                entry.pending.try_fail(KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "the answer has no such partition"))
            else:
                entry.pending.try_complete(found)

    def fail(self, entries: list[_Entry], error: KafkaError) -> None:
        for entry in entries:
            entry.pending.try_fail(error)
