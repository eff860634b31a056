"""Carries out what Replication decides: one task per fetcher, and those of the ISRs. (ReplicaManager.startup)"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from pykbroker.replica.fetcher_loop import Channel, FetcherLoop
from pykbroker.replica.isr_loop import IsrLoop, Link

if TYPE_CHECKING:
    from pykbroker.ids import Endpoint
    from pykbroker.replica.fetcher import Fetcher
    from pykbroker.replica.replica_manager import ReplicaManager
    from pykbroker.replica.replication import Replication


class ReplicationLoop:
    """`where` tells how a broker is reached now; `connect` opens a channel there under a client id."""

    def __init__(
        self,
        replicas: "ReplicaManager",
        replication: "Replication",
        link: Link,
        where: "Callable[[int], Endpoint | None]",
        connect: "Callable[[Endpoint, str], Channel]",
    ) -> None:
        self._fetchers = replication.fetchers
        self._isr = IsrLoop(replicas, replication, link)
        self._where = where
        self._connect = connect
        self._node_id = replication.node_id

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:

            def start(fetcher: "Fetcher") -> None:
                loop = FetcherLoop(fetcher, self._where, self._connect, self._node_id)
                nursery.start_soon(loop.run, name=f"{fetcher!r}")

            self._fetchers.on_fetcher = start
            for fetcher in self._fetchers.fetchers.values():
                start(fetcher)
            await self._isr.run()
