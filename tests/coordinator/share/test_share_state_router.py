"""Each share partition's state is asked of its keeper; what cannot be asked is answered as by no coordinator."""

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.coordinator.share.share_state_queue import ShareStateQueue
from pykbroker.coordinator.share.share_state_router import ShareStateRouter
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.lookup import response_class
from pykbroker.protocol.messages import delete_share_group_state as deleting
from pykbroker.protocol.messages import initialize_share_group_state as initializing
from pykbroker.protocol.messages import read_share_group_state as reading
from pykbroker.protocol.messages import read_share_group_state_summary as summing
from pykbroker.protocol.messages import write_share_group_state as writing
from tests.coordinator.share.plays import OTHER, TOPIC

KINDS = {
    "initialize_state": (initializing, "InitializeShareGroupState", "InitializeState"),
    "read_state": (reading, "ReadShareGroupState", "ReadState"),
    "write_state": (writing, "WriteShareGroupState", "WriteState"),
    "delete_state": (deleting, "DeleteShareGroupState", "DeleteState"),
    "read_summary": (summing, "ReadShareGroupStateSummary", "ReadStateSummary"),
}


class Here:
    """Keeps what `keeps`; partition n of any topic is kept in partition n of the state topic."""

    def __init__(self, *keeps: int) -> None:
        self.keeps = keeps
        self.asked: list[list[tuple[Any, int]]] = []

    def partition_for(self, key: SharePartitionKey) -> int:
        return key.partition

    def __getattr__(self, name: str) -> Any:
        module, _, result = KINDS[name]

        async def method(request: Any) -> Any:
            self.asked.append([(topic.topic_id, row.partition) for topic in request.topics for row in topic.partitions])
            return response_of(request, module, result, lambda row: 0 if row in self.keeps else E.NOT_COORDINATOR)

        return method


def response_of(request: Any, module: Any, result: str, code: Any) -> Any:
    made = getattr(module, f"{result}Result")
    return response_class(request.API_KEY)(
        results=[
            made(
                topic_id=topic.topic_id,
                partitions=[module.PartitionResult(row.partition, code(row.partition)) for row in topic.partitions],
            )
            for topic in request.topics
        ]
    )


class World:
    def __init__(self, here: Here, **leaders: int) -> None:
        self.here = here
        self.queue = ShareStateQueue()
        self.leaders = {int(name[1:]): leader for name, leader in leaders.items()}
        self.router = ShareStateRouter(here, self.leaders.get, lambda: self.queue)  # type: ignore[arg-type]
        self.answers: list[dict[tuple[Any, int], int]] = []

    async def ask(self, name: str, *rows: tuple[Any, int]) -> None:
        module, api, data = KINDS[name]
        topics: dict[Any, list[Any]] = {}
        for topic_id, partition in rows:
            topics.setdefault(topic_id, []).append(module.PartitionData(partition))
        request = getattr(module, f"{api}Request")(
            group_id="g",
            topics=[getattr(module, f"{data}Data")(topic_id=key, partitions=each) for key, each in topics.items()],
        )
        response = await getattr(self.router, name)(request)
        assert len({result.topic_id for result in response.results}) == len(response.results)
        self.answers.append(
            {
                (result.topic_id, row.partition): row.error_code
                for result in response.results
                for row in result.partitions
            }
        )


@pytest.mark.parametrize("name", KINDS)
async def test_to_the_keeper(name: str) -> None:
    world = World(Here(0), p1=2, p2=3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.ask, name, (TOPIC, 0), (TOPIC, 1), (OTHER, 1), (TOPIC, 2))
        await wait_all_tasks_blocked()
        requests = {request.broker_id: request for request in world.queue.next_requests()}
        assert world.here.asked == [[(TOPIC, 0)]]
        module, _, result = KINDS[name]
        for broker_id, request in requests.items():
            code = E.FENCED_STATE_EPOCH if broker_id == 3 else E.NONE
            request.on_response(response_of(request.message, module, result, lambda _, code=code: code))
    assert world.answers == [{(TOPIC, 0): 0, (TOPIC, 1): 0, (OTHER, 1): 0, (TOPIC, 2): E.FENCED_STATE_EPOCH}]


async def test_all_here_is_one_question() -> None:
    world = World(Here(0, 1))
    await world.ask("write_state", (TOPIC, 0), (OTHER, 1))
    assert world.here.asked == [[(TOPIC, 0), (OTHER, 1)]]
    assert world.answers == [{(TOPIC, 0): 0, (OTHER, 1): 0}]


async def test_a_keeper_that_is_away_is_as_none() -> None:
    """NOT_COORDINATOR passes: the persister asks again, of whoever keeps it then."""
    world = World(Here(0), p1=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.ask, "read_state", (TOPIC, 0), (TOPIC, 1))
        await wait_all_tasks_blocked()
        (request,) = world.queue.next_requests()
        request.on_failure(KafkaError(E.NETWORK_EXCEPTION))
    assert world.answers == [{(TOPIC, 0): 0, (TOPIC, 1): E.NOT_COORDINATOR}]
