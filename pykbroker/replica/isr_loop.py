"""Takes laggards out of ISRs on time, and carries changes of ISRs to the controller. (isr-expiration)"""

from typing import TYPE_CHECKING, Protocol, cast

import trio

from pykbroker.errors import KafkaError
from pykbroker.protocol.apis import ApiKey
from pykbroker.replica.replica_manager import ReplicaManager
from pykbroker.replica.replication import Replication

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.messages.alter_partition import AlterPartitionResponse


class Link(Protocol):
    """What this loop needs of a ControllerLink."""

    async def call(self, api_key: int, request: "Message") -> "Message":
        """Raises KafkaError."""


class IsrLoop:
    """Two tasks: an unreachable controller must not keep laggards in."""

    def __init__(self, replicas: ReplicaManager, replication: Replication, link: Link) -> None:
        self._replicas = replicas
        self._replication = replication
        self._link = link
        self._wake = trio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        self._replication.alterations.on_work = self._on_work
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._shrink, name="ISR expiration")
            nursery.start_soon(self._alter, name="AlterPartition")

    def _on_work(self) -> None:
        self._wake.set()

    async def _shrink(self) -> None:
        """A replica leaves between one and one and a half times replica.lag.time.max.ms after it was caught up."""
        while True:
            await trio.sleep(self._replication.peers.max_lag / 2)
            for partition in self._replicas:
                partition.shrink_isr()

    async def _alter(self) -> None:
        alterations = self._replication.alterations
        while True:
            self._wake = trio.Event()
            request = alterations.next_request(trio.current_time())
            if request is None:
                with trio.move_on_at(alterations.next_time()):
                    await self._wake.wait()
                continue
            try:
                response = await self._link.call(ApiKey.ALTER_PARTITION, request)
            except KafkaError as error:
                alterations.on_failure(error, trio.current_time())
            else:
                alterations.on_response(cast("AlterPartitionResponse", response), trio.current_time())
            await trio.lowlevel.checkpoint()
