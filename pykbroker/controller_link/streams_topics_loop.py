"""Creates the internal topics of streams groups while their members go on, and remembers what went wrong.

Kafka: DefaultAutoTopicCreationManager.createStreamsInternalTopics, ExpiringErrorCache. KIP-1071.
"""

from collections.abc import Iterable, Mapping
from logging import getLogger
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import trio

from pykbroker.controller_link.auto_topic_creation import create_topics_context
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.request import ControllerLink, RequestContext

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.group.streams_configured_topology import ConfiguredInternalTopic
    from pykbroker.protocol.messages.create_topics import CreatableTopic, CreateTopicsResponse

LOG = getLogger(__name__)

_MOST_ERRORS: Final = 1000
_BROKER_DEFAULT: Final = -1


class _Wish(NamedTuple):
    ctx: RequestContext
    topics: "list[CreatableTopic]"
    remember_ms: int


class StreamsTopicCreation:
    """Implements request.StreamsTopics. `run()` must run in a nursery; what was asked for before is done then."""

    def __init__(self, link: ControllerLink, clock: "Clock", timeout_ms: int) -> None:
        self._link = link
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._in_flight: set[str] = set()
        self._errors: dict[str, tuple[float, str]] = {}  # topic → until when to remember, what was said
        self._send, self._wishes = trio.open_memory_channel[_Wish](inf)  # as many as topics are in flight

    def create(self, ctx: RequestContext, topics: "Mapping[str, ConfiguredInternalTopic]", remember_ms: int) -> None:
        """Asks the controller soon; not for topics under way, nor for those that failed `remember_ms` ago or less."""
        failed = self.errors(topics)
        names = [name for name in topics if name not in self._in_flight and name not in failed]
        if names:
            self._in_flight.update(names)
            self._send.send_nowait(_Wish(ctx, [_creatable(topics[name]) for name in names], remember_ms))

    def errors(self, names: Iterable[str]) -> dict[str, str]:
        """What the controller said lately of those it would not create."""
        now = self._clock.monotonic()
        known = ((name, self._errors.get(name)) for name in names)
        return {name: row[1] for name, row in known if row is not None and row[0] > now}

    async def run(self) -> None:
        """One request per wish, none waits for another."""
        async with trio.open_nursery() as nursery:
            async for wish in self._wishes:
                nursery.start_soon(self._create, wish, name="internal topics of a streams group")

    async def _create(self, wish: _Wish) -> None:
        from pykbroker.protocol.messages.create_topics import CreateTopicsRequest

        names = [topic.name for topic in wish.topics]
        request = CreateTopicsRequest(topics=wish.topics, timeout_ms=self._timeout_ms)
        try:
            answer = await self._link.forward(create_topics_context(wish.ctx), request)
        except KafkaError as error:
            LOG.warning("Internal topics not created: %s: %s", ", ".join(names), error)
            self._remember(dict.fromkeys(names, error.message or str(error)), wish.remember_ms)
        else:
            self._remember(_refusals(cast("CreateTopicsResponse", answer)), wish.remember_ms)
        finally:
            self._in_flight.difference_update(names)

    def _remember(self, errors: Mapping[str, str], remember_ms: int) -> None:
        now = self._clock.monotonic()
        self._errors = {name: row for name, row in self._errors.items() if row[0] > now}
        self._errors.update((name, (now + remember_ms / 1000, message)) for name, message in errors.items())
        while len(self._errors) > _MOST_ERRORS:
            del self._errors[min(self._errors, key=self._errors.__getitem__)]


def _refusals(response: "CreateTopicsResponse") -> dict[str, str]:
    refused = [row for row in response.topics if row.error_code]
    for row in refused:
        LOG.info("Internal topic not created: %s: %s", row.name, row.error_message)
    return {row.name: row.error_message or ErrorCode(row.error_code).name for row in refused}


def _creatable(topic: "ConfiguredInternalTopic") -> "CreatableTopic":
    from pykbroker.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig

    return CreatableTopic(
        name=topic.name,
        num_partitions=topic.partitions,
        replication_factor=topic.replication_factor or _BROKER_DEFAULT,
        configs=[CreatableTopicConfig(name=key, value=value) for key, value in topic.configs],
    )
