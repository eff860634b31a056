"""StatePersister: asks the share coordinator until it answers, and creates its topic (DefaultStatePersister)."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import trio

from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.coordinator.share.persister import Persister
    from pykbroker.ids import Uuid
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

Request = TypeVar("Request")
Response = TypeVar("Response")

_PASSING: Final = frozenset(
    (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR)
)
# Kafka waits 1, 2, 4 and 8 s between five attempts; where the coordinator is near it is worth asking sooner.
FIRST_BACKOFF_SECONDS: Final = 0.1
ATTEMPTS: Final = 8


class StateTopic(Protocol):
    """`__share_group_state`."""

    @property
    def exists(self) -> bool: ...

    async def create(self) -> None:
        """Returns when it exists or the controller refused it."""


class StatePersister:
    """Implements Persister. What still fails after the last attempt is answered with its error."""

    def __init__(self, coordinator: "Persister", topic: StateTopic) -> None:
        self._coordinator = coordinator
        self._topic = topic

    async def initialize_state(
        self, request: "InitializeShareGroupStateRequest"
    ) -> "InitializeShareGroupStateResponse":
        return await self._ask(self._coordinator.initialize_state, request)

    async def read_state(self, request: "ReadShareGroupStateRequest") -> "ReadShareGroupStateResponse":
        return await self._ask(self._coordinator.read_state, request)

    async def write_state(self, request: "WriteShareGroupStateRequest") -> "WriteShareGroupStateResponse":
        return await self._ask(self._coordinator.write_state, request)

    async def delete_state(self, request: "DeleteShareGroupStateRequest") -> "DeleteShareGroupStateResponse":
        return await self._ask(self._coordinator.delete_state, request)

    async def read_summary(self, request: "ReadShareGroupStateSummaryRequest") -> "ReadShareGroupStateSummaryResponse":
        return await self._ask(self._coordinator.read_summary, request)

    async def _ask(self, method: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
        backoff = FIRST_BACKOFF_SECONDS
        response = await self._ask_once(method, request)
        for _ in range(ATTEMPTS - 1):
            failed = _failed(response)
            if not failed:
                break
            await trio.sleep(backoff)
            backoff *= 2
            again = await self._ask_once(method, _only(request, failed))
            _replace(response, again)
        return response

    async def _ask_once(self, method: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
        if not self._topic.exists:
            await self._topic.create()
        return await method(request)


# Requests and responses of the five APIs are built alike: topics, partitions; results, partitions.


def _failed(response: Any) -> "set[tuple[Uuid, int]]":
    return {
        (topic.topic_id, row.partition)
        for topic in response.results
        for row in topic.partitions
        if row.error_code in _PASSING
    }


def _only(request: Any, partitions: "set[tuple[Uuid, int]]") -> Any:
    topics = []
    for topic in request.topics:
        rows = [row for row in topic.partitions if (topic.topic_id, row.partition) in partitions]
        if rows:
            topics.append(type(topic)(topic_id=topic.topic_id, partitions=rows))
    return type(request)(group_id=request.group_id, topics=topics)


def _replace(response: Any, again: Any) -> None:
    """The rows of `again` in the place of those that failed before."""
    news = {(topic.topic_id, row.partition): row for topic in again.results for row in topic.partitions}
    for topic in response.results:
        topic.partitions = [news.get((topic.topic_id, row.partition), row) for row in topic.partitions]
