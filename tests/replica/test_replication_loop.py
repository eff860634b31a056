"""The tasks of replication: one per fetcher, whenever it comes."""

from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pykbroker.replica.replication_loop import ReplicationLoop
from tests.replica.stand import NODE_ID, Stand, partition_image
from tests.replica.test_fetcher_loop import ELSEWHERE, HERE, Leader, silent


class Link:
    async def call(self, api_key: int, request: Any) -> Any:
        raise AssertionError("nothing to ask")


async def test_every_fetcher_gets_a_task(stand: Stand, autojump_clock: MockClock) -> None:
    """Those that are there already, and those to come."""
    stand.register(NODE_ID, 2, 3, epoch=50)
    image = partition_image(2, 1)._replace(replicas=(NODE_ID, 2, 3), isr=(2,))
    stand.create("t")
    stand.set_partition("t", image)
    replication = stand.replicas.replication
    assert replication is not None
    leader = Leader(silent)
    where = {2: HERE, 3: ELSEWHERE}
    loop = ReplicationLoop(stand.replicas, replication, Link(), where.get, leader.connect)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.run)
        await wait_all_tasks_blocked()
        assert [endpoint for endpoint, _ in leader.opened] == [HERE]
        stand.set_partition("t", image._replace(leader=3, leader_epoch=2, partition_epoch=2))
        await wait_all_tasks_blocked()
        assert [endpoint for endpoint, _ in leader.opened] == [HERE, ELSEWHERE]
        assert leader.closed >= 1, "the first one follows nothing any more"
        nursery.cancel_scope.cancel()
