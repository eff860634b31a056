"""Asks of each share partition the broker that keeps its state, here or elsewhere. (PersisterStateManager)"""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from pykbroker.coordinator.share.persister import Persister
from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.errors import KafkaError
from pykbroker.protocol.lookup import response_class

if TYPE_CHECKING:
    from pykbroker.coordinator.share.share_state_queue import Answer
    from pykbroker.ids import Uuid
    from pykbroker.pending import Pending
    from pykbroker.protocol.messages.delete_share_group_state import (
        DeleteShareGroupStateRequest,
        DeleteShareGroupStateResponse,
    )
    from pykbroker.protocol.messages.initialize_share_group_state import (
        InitializeShareGroupStateRequest,
        InitializeShareGroupStateResponse,
    )
    from pykbroker.protocol.messages.read_share_group_state import (
        ReadShareGroupStateRequest,
        ReadShareGroupStateResponse,
    )
    from pykbroker.protocol.messages.read_share_group_state_summary import (
        ReadShareGroupStateSummaryRequest,
        ReadShareGroupStateSummaryResponse,
    )
    from pykbroker.protocol.messages.write_share_group_state import (
        WriteShareGroupStateRequest,
        WriteShareGroupStateResponse,
    )

logger = logging.getLogger(__name__)

R = TypeVar("R")
Method = Callable[[Any], Awaitable[Any]]


class Here(Persister, Protocol):
    """ShareCoordinatorService."""

    def partition_for(self, key: SharePartitionKey) -> int: ...


class Elsewhere(Protocol):
    """ShareStateQueue."""

    def ask(self, broker_id: int, request: Any, topic: Any, row: Any) -> "Pending[Answer]": ...


class ShareStateRouter:
    """Implements Persister. `leader_of`: who leads a partition of the state topic, if it is another broker.

    What has no coordinator, or cannot reach it, is asked here, where it is answered NOT_COORDINATOR: it may pass.
    """

    def __init__(self, here: Here, leader_of: Callable[[int], int | None], elsewhere: Callable[[], Elsewhere]) -> None:
        self._here = here
        self._leader_of = leader_of
        self._elsewhere = elsewhere

    async def initialize_state(
        self, request: "InitializeShareGroupStateRequest"
    ) -> "InitializeShareGroupStateResponse":
        return await self._ask(self._here.initialize_state, request)

    async def read_state(self, request: "ReadShareGroupStateRequest") -> "ReadShareGroupStateResponse":
        return await self._ask(self._here.read_state, request)

    async def write_state(self, request: "WriteShareGroupStateRequest") -> "WriteShareGroupStateResponse":
        return await self._ask(self._here.write_state, request)

    async def delete_state(self, request: "DeleteShareGroupStateRequest") -> "DeleteShareGroupStateResponse":
        return await self._ask(self._here.delete_state, request)

    async def read_summary(self, request: "ReadShareGroupStateSummaryRequest") -> "ReadShareGroupStateSummaryResponse":
        return await self._ask(self._here.read_summary, request)

    async def _ask(self, method: Callable[[Any], Awaitable[R]], request: Any) -> R:
        asked: list[tuple[Uuid, Any, Pending[Answer]]] = []
        here: dict[Uuid, list[Any]] = {}
        for topic in request.topics:
            for row in topic.partitions:
                key = SharePartitionKey(request.group_id, topic.topic_id, row.partition)
                leader = self._leader_of(self._here.partition_for(key))
                if leader is None:
                    here.setdefault(topic.topic_id, []).append(row)
                else:
                    asked.append((topic.topic_id, row, self._elsewhere().ask(leader, request, topic, row)))
        if not asked:
            return await method(request)
        response = await self._ask_here(method, request, here)
        unanswered: dict[Uuid, list[Any]] = {}
        for topic_id, row, pending in asked:
            try:
                _put(response, topic_id, await pending.wait())
            except KafkaError as error:
                logger.info(
                    "The state of partition %d of topic %s is not known now: %s", row.partition, topic_id, error
                )
                unanswered.setdefault(topic_id, []).append(row)
        for result in (await self._ask_here(method, request, unanswered)).results:
            for answer in result.partitions:
                _put_row(response, type(result), result.topic_id, answer)
        return cast(R, response)

    async def _ask_here(self, method: Method, request: Any, rows: "dict[Uuid, list[Any]]") -> Any:
        if not rows:
            return response_class(request.API_KEY)()
        topic = type(request.topics[0])
        topics = [topic(topic_id=topic_id, partitions=partitions) for topic_id, partitions in rows.items()]
        return await method(type(request)(group_id=request.group_id, topics=topics))


def _put(response: Any, topic_id: "Uuid", answer: "Answer") -> None:
    _put_row(response, answer.result, topic_id, answer.row)


def _put_row(response: Any, kind: type[Any], topic_id: "Uuid", row: Any) -> None:
    for result in response.results:
        if result.topic_id == topic_id:
            result.partitions.append(row)
            return
    response.results.append(kind(topic_id=topic_id, partitions=[row]))
