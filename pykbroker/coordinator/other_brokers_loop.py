"""Asks other brokers what the queues hold, over a connection of its own per broker and kind of question.
(InterBrokerSendThread, NetworkUtils.buildNetworkClient)
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from pykbroker.coordinator.broker_queue import BrokerQueue, BrokerRequest
from pykbroker.errors import KafkaError, MalformedFrame, NodeUnreachable
from pykbroker.protocol.apis import API_TABLE
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.coordinator.group.latest_offsets import LatestOffsets
    from pykbroker.coordinator.share.share_state_queue import ShareStateQueue
    from pykbroker.coordinator.transaction.add_partitions_manager import AddPartitionsManager
    from pykbroker.coordinator.transaction.marker_queue import MarkerQueue
    from pykbroker.ids import Endpoint
    from pykbroker.metadata.delta import MetadataDelta
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.protocol.message import Message
    from pykbroker.request import Connect, NodeChannel

logger = logging.getLogger(__name__)


class OtherBrokers:
    """Each kind of question is made and started when first used. A subscriber of the metadata publisher: who is fenced
    is not waited for. `where`: how a broker is reached by brokers, None when it is not alive; `timeout`: seconds.
    """

    def __init__(
        self,
        node_id: int,
        where: "Callable[[int], Endpoint | None]",
        connect: "Connect",
        timeout: float,
        nursery: trio.Nursery,
    ) -> None:
        self._node_id = node_id
        self._where = where
        self._connect = connect
        self._timeout = timeout
        self._nursery = nursery
        self._senders: list[QueueSender] = []
        self._markers: MarkerQueue | None = None
        self._admissions: AddPartitionsManager | None = None
        self._share_states: ShareStateQueue | None = None
        self._latest_offsets: LatestOffsets | None = None

    @property
    def markers(self) -> "MarkerQueue":
        if self._markers is None:
            from pykbroker.coordinator.transaction.marker_queue import MarkerQueue

            self._markers = MarkerQueue()
            self._start(self._markers, f"broker-{self._node_id}-txn-marker-sender")
        return self._markers

    @property
    def admissions(self) -> "AddPartitionsManager":
        if self._admissions is None:
            from pykbroker.coordinator.transaction.add_partitions_manager import AddPartitionsManager

            self._admissions = AddPartitionsManager()
            self._start(self._admissions, f"AddPartitionsManager-client-{self._node_id}")
        return self._admissions

    @property
    def share_states(self) -> "ShareStateQueue":
        if self._share_states is None:
            from pykbroker.coordinator.share.share_state_queue import ShareStateQueue

            self._share_states = ShareStateQueue()
            self._start(self._share_states, f"Persister-client-{self._node_id}")
        return self._share_states

    @property
    def latest_offsets(self) -> "LatestOffsets":
        if self._latest_offsets is None:
            from pykbroker.coordinator.group.latest_offsets import LatestOffsets

            self._latest_offsets = LatestOffsets(trio.current_time)
            self._start(self._latest_offsets, f"NetworkPartitionMetadataClient-client-{self._node_id}")
        return self._latest_offsets

    def _start(self, queue: BrokerQueue[Any], client_id: str) -> None:
        sender = QueueSender(queue, self._where, self._connect, client_id, self._timeout)
        self._senders.append(sender)
        self._nursery.start_soon(sender.run, name=client_id)

    def on_metadata_update(self, delta: "MetadataDelta", image: "MetadataImage") -> None:
        if "brokers" not in delta.changed_parts:
            return
        for broker_id, before in delta.base.brokers.items():
            now = image.brokers.get(broker_id)
            if now is None or now.fenced or now.epoch != before.epoch:
                for sender in self._senders:
                    sender.forget(broker_id)


class QueueSender:
    """Sends the requests of one queue, those to different brokers side by side."""

    def __init__(
        self,
        queue: BrokerQueue[Any],
        where: "Callable[[int], Endpoint | None]",
        connect: "Connect",
        client_id: str,
        timeout: float,
    ) -> None:
        self._queue = queue
        self._where = where
        self._connect = connect
        self._client_id = client_id
        self._timeout = timeout
        self._channels: dict[int, tuple[Endpoint, NodeChannel]] = {}
        # What each broker that does not answer was last said to lack, so that it is logged once.
        self._complaints: dict[int, str] = {}
        self._wake = trio.Event()
        queue.on_work = self._on_work

    def _on_work(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    self._wake = trio.Event()
                    for request in self._queue.next_requests():
                        nursery.start_soon(self._send, request, name=f"{self._client_id} to {request.broker_id}")
                    with trio.move_on_at(self._queue.next_time()):
                        await self._wake.wait()
        finally:
            for broker_id in list(self._channels):
                self.forget(broker_id)

    def forget(self, broker_id: int) -> None:
        """Who waits for it is told at once that it did not answer."""
        _, channel = self._channels.pop(broker_id, (None, None))
        if channel is not None:
            channel.close()

    async def _send(self, request: BrokerRequest) -> None:
        try:
            response = await self._ask(request)
        except KafkaError as error:
            request.on_failure(error)
        except (NodeUnreachable, MalformedFrame) as error:
            self._complain(request, str(error))
            request.on_failure(KafkaError(ErrorCode.NETWORK_EXCEPTION, str(error)))
        else:
            self._complaints.pop(request.broker_id, None)
            request.on_response(response)

    def _complain(self, request: BrokerRequest, why: str) -> None:
        if self._complaints.get(request.broker_id) == why:
            return
        self._complaints[request.broker_id] = why
        name = API_TABLE[request.api_key].name
        logger.info("%s has no answer to %s from broker %d: %s", self._client_id, name, request.broker_id, why)

    async def _ask(self, request: BrokerRequest) -> "Message":
        """Raises NodeUnreachable, MalformedFrame, KafkaError UNSUPPORTED_VERSION."""
        channel = self._channel(request.broker_id)
        known = await channel.api_versions(timeout=self._timeout)
        first, last = known.get(request.api_key, (0, -1))
        version = min(last, API_TABLE[request.api_key].max_version)
        if version < max(first, request.lowest):
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"broker {request.broker_id} knows versions {first}-{last}")
        return await channel.send(request.api_key, version, request.message, timeout=self._timeout)

    def _channel(self, broker_id: int) -> "NodeChannel":
        """Raises NodeUnreachable."""
        endpoint = self._where(broker_id)
        if endpoint is None:
            raise NodeUnreachable(f"broker {broker_id} is fenced, or not registered with the listener of brokers")
        found = self._channels.get(broker_id)
        if found is not None and found[0] == endpoint:
            return found[1]
        self.forget(broker_id)
        channel = self._connect(endpoint, self._client_id)
        self._channels[broker_id] = (endpoint, channel)
        return channel
