"""Topics created on demand: with which settings, each once at a time, whatever the controller says."""

import pytest
import trio
import trio.testing

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller_link.auto_topic_creation import AutoTopicCreation
from pykbroker.errors import KafkaError
from pykbroker.pending import Pending
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from pykbroker.request import RequestContext

CONTEXT = RequestContext(ApiKey.METADATA, 13, 77, "client", principal="User:ann", client_host="10.0.0.9")


class Link:
    """A controller that answers when the test says so."""

    def __init__(self) -> None:
        self.requests: list[tuple[RequestContext, CreateTopicsRequest]] = []
        self.answer: Pending[Message] = Pending()

    async def forward(self, ctx: RequestContext, request: Message) -> Message:
        assert isinstance(request, CreateTopicsRequest)
        self.requests.append((ctx, request))
        return await self.answer.wait()

    async def allocate_producer_ids(self) -> tuple[int, int]:
        raise NotImplementedError

    @property
    def asked(self) -> list[list[str]]:
        return [[topic.name for topic in request.topics] for _, request in self.requests]


@pytest.fixture
def link() -> Link:
    return Link()


def creation(link: Link, **settings: str) -> AutoTopicCreation:
    return AutoTopicCreation(link, BrokerConfig({name.replace("_", "."): value for name, value in settings.items()}))


async def asked_topic(link: Link, name: str, **settings: str) -> CreatableTopic:
    link.answer.complete(CreateTopicsResponse(topics=[CreatableTopicResult(name=name)]))
    await creation(link, **settings).create(CONTEXT, [name])
    ((_, request),) = link.requests
    (topic,) = request.topics
    assert not request.validate_only
    return topic


@pytest.mark.parametrize(("name", "waits"), [("__consumer_offsets", True), ("topic", False)])
async def test_coordinators_are_elected_when_their_topic_is_there(link: Link, name: str, waits: bool) -> None:
    applied: Pending[None] = Pending()
    topics = AutoTopicCreation(link, BrokerConfig({}), applied.wait)
    link.answer.complete(CreateTopicsResponse(topics=[CreatableTopicResult(name=name)]))
    done: list[str] = []

    async def create() -> None:
        await topics.create(CONTEXT, [name])
        done.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(create)
        nursery.start_soon(create)
        await trio.testing.wait_all_tasks_blocked()
        assert len(done) == (0 if waits else 2)
        applied.complete(None)
    assert len(done) == 2


async def test_the_request_is_the_clients(link: Link) -> None:
    await asked_topic(link, "topic", request_timeout_ms="1234")
    ((ctx, request),) = link.requests
    assert (ctx.api_key, ctx.api_version, request.timeout_ms) == (ApiKey.CREATE_TOPICS, 7, 1234)
    assert (ctx.client_id, ctx.correlation_id, ctx.principal, ctx.client_host) == ("client", 77, "User:ann", "10.0.0.9")


async def test_ordinary_topics_get_the_brokers_defaults(link: Link) -> None:
    topic = await asked_topic(link, "topic", num_partitions="3", default_replication_factor="2")
    assert (topic.num_partitions, topic.replication_factor, topic.configs, topic.assignments) == (3, 2, [], [])


@pytest.mark.parametrize(
    ("name", "settings", "shape", "configs"),
    [
        (
            "__consumer_offsets",
            {
                "offsets_topic_num_partitions": "7",
                "offsets_topic_replication_factor": "2",
                "offsets_topic_segment_bytes": "2000000",
            },
            (7, 2),
            {"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "2000000"},
        ),
        (
            "__transaction_state",
            {
                "transaction_state_log_num_partitions": "8",
                "transaction_state_log_replication_factor": "4",
                "transaction_state_log_segment_bytes": "3000000",
                "transaction_state_log_min_isr": "2",
            },
            (8, 4),
            {
                "cleanup.policy": "compact",
                "compression.type": "uncompressed",
                "min.insync.replicas": "2",
                "segment.bytes": "3000000",
                "unclean.leader.election.enable": "false",
            },
        ),
        (
            "__share_group_state",
            {
                "share_coordinator_state_topic_num_partitions": "9",
                "share_coordinator_state_topic_replication_factor": "5",
                "share_coordinator_state_topic_segment_bytes": "4000000",
                "share_coordinator_state_topic_min_isr": "3",
            },
            (9, 5),
            {
                "cleanup.policy": "delete",
                "compression.type": "producer",
                "min.insync.replicas": "3",
                "retention.ms": "-1",
                "segment.bytes": "4000000",
            },
        ),
    ],
)
async def test_kafkas_own_topics_have_their_own_settings(
    link: Link, name: str, settings: dict[str, str], shape: tuple[int, int], configs: dict[str, str]
) -> None:
    topic = await asked_topic(link, name, **settings)
    assert (topic.num_partitions, topic.replication_factor) == shape
    assert {config.name: config.value for config in topic.configs} == configs


async def test_illegal_names_are_not_asked_for(link: Link) -> None:
    await creation(link).create(CONTEXT, ["", "a b", ".."])
    assert link.requests == []


async def test_a_topic_in_flight_is_waited_for(link: Link) -> None:
    topics = creation(link)
    done: list[str] = []

    async def create(who: str, *names: str) -> None:
        await topics.create(CONTEXT, names)
        done.append(who)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(create, "first", "a", "b")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(create, "second", "b")
        nursery.start_soon(create, "third", "b", "c")
        await trio.testing.wait_all_tasks_blocked()
        assert (link.asked, done) == ([["a", "b"], ["c"]], [])
        link.answer.complete(CreateTopicsResponse())
    assert sorted(done) == ["first", "second", "third"]
    await topics.create(CONTEXT, ["b"])
    assert link.asked[2:] == [["b"]], "what is no longer in flight may be asked for again"


async def test_refusals_are_logged_and_not_raised(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    taken = CreatableTopicResult(name="taken", error_code=ErrorCode.TOPIC_ALREADY_EXISTS, error_message="exists")
    refused = CreatableTopicResult(name="refused", error_code=ErrorCode.POLICY_VIOLATION, error_message="too large")
    link.answer.complete(CreateTopicsResponse(topics=[taken, refused]))
    await creation(link).create(CONTEXT, ["taken", "refused"])
    assert caplog.messages == ["Topics not created: refused: POLICY_VIOLATION: too large"]


async def test_a_controller_that_fails(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    topics = creation(link)
    link.answer.fail(KafkaError(ErrorCode.NOT_CONTROLLER, "ask another"))
    await topics.create(CONTEXT, ["a", "b"])
    assert caplog.messages == ["Topics not created: a, b: NOT_CONTROLLER: ask another"]
    await topics.create(CONTEXT, ["a"])
    assert link.asked == [["a", "b"], ["a"]]


async def test_who_waits_for_another_is_freed_when_that_one_leaves(link: Link) -> None:
    topics = creation(link)
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def first() -> None:
            with scope:
                await topics.create(CONTEXT, ["a"])

        nursery.start_soon(first)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(topics.create, CONTEXT, ["a"])
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
    assert link.asked == [["a"]]


async def test_many_names_are_not_logged(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    link.answer.fail(KafkaError(ErrorCode.POLICY_VIOLATION, "too many"))
    await creation(link).create(CONTEXT, [f"t{i}" for i in range(10_001)])
    assert caplog.messages == ["Topics not created: t0, t1, t2, t3, t4 …: POLICY_VIOLATION: too many"]
