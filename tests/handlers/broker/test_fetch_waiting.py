"""Long polls in virtual time: min.bytes and max.wait (DelayedFetch), and what ends them early."""

from collections.abc import Awaitable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from pykbroker.handlers.broker import fetch
from pykbroker.ids import Uuid
from pykbroker.metadata.local_changes import LocalChanges
from pykbroker.metadata.topics import TopicImage
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from pykbroker.record.builder import build_batch
from pykbroker.request import RawResponse
from tests.handlers.broker.asker import read_part
from tests.replica.stand import NODE_ID, Stand, context, partition_image

VERSION = 17
SIZE = len(build_batch([(b"k", b"x" * 100, [], 1_700_000_000_000)]))


class Client:
    """Asks the handler; `at` is when the answer came, in seconds after the question."""

    def __init__(self, stand: Stand, topic_id: Uuid, version: int = VERSION) -> None:
        self.stand = stand
        self.topic_id = topic_id
        self.version = version
        self.at = -1.0
        self.response = FetchResponse()

    async def fetch(
        self, offset: int = 0, *, partitions: tuple[int, ...] = (0,), partition_max: int = 1 << 20, **fields: Any
    ) -> FetchResponse:
        rows = [
            FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=partition_max)
            for index in partitions
        ]
        topic = FetchTopic(topic_id=self.topic_id, topic="t" if self.version < 13 else "", partitions=rows)
        if self.version < 13:
            topic.topic_id = Uuid(16)
        request = FetchRequest(
            **{"max_wait_ms": 10_000, "min_bytes": 1, "session_epoch": -1, "max_bytes": 1 << 20, **fields},
            topics=[topic] if partitions else [],
        )
        return await self.ask(request)

    async def ask(self, request: FetchRequest) -> FetchResponse:
        ctx = context(ApiKey.FETCH, self.version)
        start = ctx.received_at = trio.current_time()
        answer = fetch.handle_frame(self.stand, ctx, memoryview(request.encode(self.version)), 0)  # type: ignore[arg-type]
        raw: RawResponse = await answer if isinstance(answer, Awaitable) else answer
        self.at = trio.current_time() - start
        self.response, _ = FetchResponse.decode(b"".join(map(read_part, raw.parts)), self.version)
        return self.response

    @property
    def row(self) -> Any:
        return self.response.responses[0].partitions[0]


def append(stand: Stand, partition: int = 0) -> None:
    records = build_batch([(b"k", b"x" * 100, [], 1_700_000_000_000)])
    stand.partition("t", partition).append(records, 1, stand.clock.wall_ms())


@pytest.fixture
def client(stand: Stand) -> Client:
    return Client(stand, stand.create("t", 2))


async def after(seconds: float, action: Any, *arguments: Any) -> None:
    await trio.sleep(seconds)
    action(*arguments)


async def test_an_empty_log_keeps_the_client_until_max_wait(client: Client, autojump_clock: MockClock) -> None:
    await client.fetch(max_wait_ms=700)
    assert (client.at, client.row.error_code, client.row.high_watermark) == (pytest.approx(0.7), 0, 0)
    assert not client.stand.partition("t").waiters


@pytest.mark.parametrize("fields", [{"max_wait_ms": 0}, {"max_wait_ms": -1}, {"min_bytes": 0}])
async def test_who_does_not_want_to_wait_does_not(
    client: Client, fields: dict[str, int], autojump_clock: MockClock
) -> None:
    await client.fetch(**fields)
    assert client.at == 0


async def test_an_append_is_answered_at_once(client: Client, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.fetch)
        nursery.start_soon(after, 2, append, client.stand)
    assert (client.at, len(client.row.records)) == (pytest.approx(2), SIZE)
    assert not client.stand.partition("t").waiters


async def test_bytes_are_counted_over_all_partitions(client: Client, autojump_clock: MockClock) -> None:
    append(client.stand)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: client.fetch(partitions=(0, 1), min_bytes=3 * SIZE))
        nursery.start_soon(after, 1, append, client.stand, 0)
        nursery.start_soon(after, 3, append, client.stand, 1)
    assert client.at == pytest.approx(3)
    assert [len(row.records) for row in client.response.responses[0].partitions] == [2 * SIZE, SIZE]


async def test_what_there_is_after_max_wait(client: Client, autojump_clock: MockClock) -> None:
    append(client.stand)
    await client.fetch(min_bytes=1 << 16, max_wait_ms=500)
    assert (client.at, len(client.row.records)) == (pytest.approx(0.5), SIZE)


async def test_min_bytes_beyond_max_bytes_is_max_bytes(client: Client, autojump_clock: MockClock) -> None:
    append(client.stand)
    await client.fetch(min_bytes=1 << 20, max_bytes=SIZE)
    assert client.at == 0


async def test_min_bytes_beyond_the_partitions_limit_waits_in_vain(client: Client, autojump_clock: MockClock) -> None:
    append(client.stand)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: client.fetch(min_bytes=3 * SIZE, partition_max=SIZE, max_wait_ms=2000))
        for second in (0.5, 1, 1.5):
            nursery.start_soon(after, second, append, client.stand)
    assert (client.at, len(client.row.records)) == (pytest.approx(2), SIZE)


async def test_an_unknown_partition_beside_a_known_one_does_not_hurry(
    client: Client, autojump_clock: MockClock
) -> None:
    await client.fetch(partitions=(0, 9), max_wait_ms=700)
    assert client.at == pytest.approx(0.7)
    await client.fetch(partitions=(9,), max_wait_ms=700)
    assert client.at == 0


async def test_an_error_hurries(client: Client, autojump_clock: MockClock) -> None:
    await client.fetch(5, partitions=(0, 1))
    assert (client.at, client.row.error_code) == (0, ErrorCode.OFFSET_OUT_OF_RANGE)


async def test_a_new_leader_ends_the_wait(client: Client, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.fetch)
        nursery.start_soon(after, 1, client.stand.elect, "t", 2, 1)
    assert client.at == pytest.approx(10), "from v11 on a follower serves consumers too: nothing is wrong yet"
    client.version = 10
    await client.fetch()
    assert (client.at, client.row.error_code) == (0, ErrorCode.NOT_LEADER_OR_FOLLOWER)


async def test_a_lost_leader_ends_the_wait_of_old_consumers(client: Client, autojump_clock: MockClock) -> None:
    client.version = 10
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.fetch)
        nursery.start_soon(after, 1, client.stand.elect, "t", 2, 1)
    assert (client.at, client.row.error_code) == (pytest.approx(1), ErrorCode.NOT_LEADER_OR_FOLLOWER)


async def test_a_new_epoch_alone_does_not_end_the_wait(client: Client, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.fetch)
        nursery.start_soon(after, 1, client.stand.elect, "t", NODE_ID, 1)
        nursery.start_soon(after, 3, append, client.stand)
    assert (client.at, len(client.row.records)) == (pytest.approx(3), SIZE)


async def test_a_deleted_topic_ends_the_wait(client: Client, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.fetch)
        nursery.start_soon(after, 1, client.stand.delete, "t")
    assert (client.at, client.row.error_code) == (pytest.approx(1), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


async def test_a_failed_directory_ends_the_wait(client: Client, autojump_clock: MockClock) -> None:
    directory = client.stand.logs.directories[0]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.fetch)
        nursery.start_soon(after, 1, client.stand.logs.fail, directory, OSError(5, "gone"))
    assert (client.at, client.row.error_code) == (pytest.approx(1), ErrorCode.KAFKA_STORAGE_ERROR)
    client.version = 5
    await client.fetch()
    assert client.row.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER, "old clients do not know the error"


async def test_a_client_that_goes_leaves_nothing_behind(client: Client, autojump_clock: MockClock) -> None:
    with trio.move_on_after(1):
        await client.fetch()
    assert not client.stand.partition("t").waiters


async def test_many_wait_for_one_partition(client: Client, autojump_clock: MockClock) -> None:
    clients = [Client(client.stand, client.topic_id) for _ in range(500)]
    async with trio.open_nursery() as nursery:
        for one in clients:
            nursery.start_soon(one.fetch)
        await trio.testing.wait_all_tasks_blocked()
        assert len(client.stand.partition("t").waiters) == 500
        append(client.stand)
        assert client.stand.replicas.waiting_rows == 500
    assert client.stand.replicas.waiting_rows == 0
    assert {one.at for one in clients} == {0}
    assert all(len(one.row.records) == SIZE for one in clients)


async def test_too_many_rows_do_not_wait(
    client: Client, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MAX_WAITING_ROWS", 3)
    late = Client(client.stand, client.topic_id)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: client.fetch(partitions=(0, 8)))
        await trio.testing.wait_all_tasks_blocked()
        await late.fetch(partitions=(0, 9))
        assert late.at == 0
        await late.fetch(partitions=(1,), max_wait_ms=1000)
        assert late.at == pytest.approx(1)
        nursery.cancel_scope.cancel()
    assert client.stand.replicas.waiting_rows == 0


async def test_two_requests_of_one_session_at_once(client: Client, autojump_clock: MockClock) -> None:
    """The later one wins; the one before is told that its epoch is gone (IncrementalFetchContext)."""
    await client.fetch(session_epoch=0, max_wait_ms=0)
    session = client.response.session_id
    late = Client(client.stand, client.topic_id)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: client.fetch(partitions=(), session_id=session, session_epoch=1))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(lambda: late.fetch(partitions=(), session_id=session, session_epoch=2))
        await trio.testing.wait_all_tasks_blocked()
        append(client.stand)
    assert client.response.error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert client.response.session_id == session
    assert len(late.row.records) == SIZE


async def test_who_is_fenced_is_told_the_leader(client: Client, autojump_clock: MockClock) -> None:
    """KIP-951: from v16 on, with the leader's address."""
    client.stand.elect("t", NODE_ID, 3)
    topic = FetchTopic(
        topic_id=client.topic_id,
        partitions=[FetchPartition(partition=0, current_leader_epoch=0, partition_max_bytes=100)],
    )
    ctx = context(ApiKey.FETCH, VERSION)
    raw = fetch.handle_frame(
        client.stand,  # type: ignore[arg-type]
        ctx,
        memoryview(FetchRequest(max_wait_ms=100, min_bytes=1, topics=[topic]).encode(VERSION)),
        0,
    )
    assert isinstance(raw, RawResponse)
    response, _ = FetchResponse.decode(b"".join(map(read_part, raw.parts)), VERSION)
    row = response.responses[0].partitions[0]
    assert row.error_code == ErrorCode.FENCED_LEADER_EPOCH
    assert (row.current_leader.leader_id, row.current_leader.leader_epoch) == (NODE_ID, 3)
    assert [(node.node_id, node.host) for node in response.node_endpoints] == [(NODE_ID, f"broker-{NODE_ID}")]


async def test_a_partition_elsewhere_is_told_with_its_leader(client: Client, autojump_clock: MockClock) -> None:
    elsewhere = partition_image(2, 7)._replace(replicas=(2,), isr=(2,))
    topic_id = Uuid.random()
    client.stand.image.topics = type(client.stand.image.topics)(
        {topic_id: TopicImage("far", topic_id, {0: elsewhere})}, {"far": TopicImage("far", topic_id, {0: elsewhere})}
    )
    for _ in client.stand.replicas.apply(LocalChanges({}, {}, set(), set()), client.stand.image):  # type: ignore[arg-type]
        pass
    client.topic_id = topic_id
    await client.fetch()
    assert (client.at, client.row.error_code) == (0, ErrorCode.NOT_LEADER_OR_FOLLOWER)
    assert (client.row.current_leader.leader_id, client.row.current_leader.leader_epoch) == (2, 7)
    assert [node.node_id for node in client.response.node_endpoints] == [2]
    client.stand.lacks_listener.add(2)
    await client.fetch()
    assert client.row.current_leader.leader_id == 2
    assert client.response.node_endpoints == [], "it has no listener of this name; the other partitions are served"
