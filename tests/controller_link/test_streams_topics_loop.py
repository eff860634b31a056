"""Internal topics of streams groups: asked for once at a time, refusals remembered for a while, not for ever."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from pykbroker.clock import ManualClock
from pykbroker.controller_link.streams_topics_loop import StreamsTopicCreation
from pykbroker.coordinator.group.streams_configured_topology import ConfiguredInternalTopic
from pykbroker.errors import KafkaError
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.create_topics import CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse
from pykbroker.request import RequestContext

CONTEXT = RequestContext(ApiKey.STREAMS_GROUP_HEARTBEAT, 0, 77, "client", principal="User:ann")
TOPICS = {
    "log": ConfiguredInternalTopic("log", 3, 0, (("cleanup.policy", "compact"),)),
    "way": ConfiguredInternalTopic("way", 2, 1, ()),
}


class Link:
    """A controller that answers when the test says so."""

    def __init__(self) -> None:
        self.requests: list[tuple[RequestContext, CreateTopicsRequest]] = []
        self.answers = trio.open_memory_channel[dict[str, int] | KafkaError](9)

    async def forward(self, ctx: RequestContext, request: Message) -> Message:
        assert isinstance(request, CreateTopicsRequest)
        self.requests.append((ctx, request))
        answer = await self.answers[1].receive()
        if isinstance(answer, KafkaError):
            raise answer
        rows = [
            CreatableTopicResult(name=name, error_code=code, error_message=f"{name} is bad" if code == 40 else None)
            for name, code in answer.items()
        ]
        return CreateTopicsResponse(topics=rows)

    async def allocate_producer_ids(self) -> tuple[int, int]:
        raise AssertionError("topics need no producer ids")

    async def answer(self, answer: dict[str, int] | KafkaError) -> None:
        self.answers[0].send_nowait(answer)
        await trio.testing.wait_all_tasks_blocked()

    @property
    def asked(self) -> list[list[str]]:
        return [[topic.name for topic in request.topics] for _, request in self.requests]


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Link, StreamsTopicCreation, ManualClock]]:
    link, clock = Link(), ManualClock()
    creation = StreamsTopicCreation(link, clock, 30_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(creation.run)
        yield link, creation, clock
        nursery.cancel_scope.cancel()


async def ask(creation: StreamsTopicCreation, *names: str) -> None:
    creation.create(CONTEXT, {name: TOPICS[name] for name in names}, 10_000)
    await trio.testing.wait_all_tasks_blocked()


async def test_what_the_controller_is_asked() -> None:
    async with running() as (link, creation, _):
        await ask(creation, "log", "way")
        ((ctx, request),) = link.requests
        assert (ctx.api_key, ctx.principal, request.timeout_ms) == (ApiKey.CREATE_TOPICS, "User:ann", 30_000)
        log, way = request.topics
        assert (log.num_partitions, log.replication_factor) == (3, -1)
        assert [(row.name, row.value) for row in log.configs] == [("cleanup.policy", "compact")]
        assert (way.num_partitions, way.replication_factor, way.configs) == (2, 1, [])


async def test_each_topic_once_at_a_time() -> None:
    async with running() as (link, creation, _):
        await ask(creation, "log")
        await ask(creation, "log", "way")
        await ask(creation, "log", "way")
        assert link.asked == [["log"], ["way"]]
        await link.answer({"log": 0})
        await ask(creation, "log", "way")
        assert link.asked == [["log"], ["way"], ["log"]]
        assert creation.errors(TOPICS) == {}


async def test_refusals_are_remembered_for_a_while() -> None:
    async with running() as (link, creation, clock):
        await ask(creation, "log", "way")
        await link.answer({"log": 40, "way": ErrorCode.POLICY_VIOLATION})
        assert creation.errors(["log", "way", "other"]) == {"log": "log is bad", "way": "POLICY_VIOLATION"}
        clock.advance(9.9)
        await ask(creation, "log")
        assert len(link.asked) == 1
        clock.advance(0.2)
        assert creation.errors(TOPICS) == {}
        await ask(creation, "log")
        assert link.asked[1:] == [["log"]]


async def test_no_controller() -> None:
    async with running() as (link, creation, _):
        await ask(creation, "log")
        await link.answer(KafkaError(ErrorCode.REQUEST_TIMED_OUT, "nobody there"))
        assert creation.errors(TOPICS) == {"log": "nobody there"}


async def test_only_so_many_refusals_are_remembered() -> None:
    async with running() as (link, creation, _):
        names = [f"t{number}" for number in range(1005)]
        creation.create(CONTEXT, {name: ConfiguredInternalTopic(name, 1, 0, ()) for name in names}, 10_000)
        await trio.testing.wait_all_tasks_blocked()
        await link.answer(dict.fromkeys(names, 40))
        assert len(creation.errors(names)) == 1000
