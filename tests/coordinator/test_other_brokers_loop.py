"""Questions on their way: versions, connections, brokers that are away, fenced or elsewhere; no sockets."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pykbroker.coordinator.other_brokers_loop import OtherBrokers, QueueSender
from pykbroker.coordinator.shard import Marker
from pykbroker.coordinator.transaction.marker_queue import MarkerQueue
from pykbroker.coordinator.transaction.transaction_metadata import ProducerIdentity
from pykbroker.errors import KafkaError, MalformedFrame, NodeUnreachable
from pykbroker.ids import Endpoint, TopicPartition
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import BrokerRegistration, MetadataImage
from pykbroker.pending import Pending
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.write_txn_markers import (
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersResponse,
)

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
MARKER = Marker(7, 1, 0, True)
HERE = Endpoint("PLAINTEXT", "PLAINTEXT", "localhost", 9092)
TIMEOUT = 30.0


class Network:
    """Brokers answer every marker with no error, `delay` seconds later, unless `failure` is raised."""

    def __init__(self, **versions: tuple[int, int]) -> None:
        self.versions = {ApiKey[name]: each for name, each in versions.items()}
        self.where: dict[int, Endpoint] = {2: HERE, 3: HERE._replace(port=9093)}
        self.opened: list[tuple[int, str]] = []
        self.asked: list[tuple[int, int]] = []
        self.closed = 0
        self.delay = 0.0
        self.failure: Exception | None = None

    def connect(self, endpoint: Any, client_id: str) -> Any:
        self.opened.append((endpoint.port, client_id))
        return Channel(self, endpoint.port)


class Channel:
    def __init__(self, network: Network, port: int) -> None:
        self.network, self.port = network, port
        self.ended = trio.Event()

    async def api_versions(self, *, timeout: float) -> Mapping[int, tuple[int, int]]:
        assert timeout == TIMEOUT
        if self.network.failure is not None:
            raise self.network.failure
        return self.network.versions

    async def send(self, api_key: int, version: int, request: Message, *, timeout: float) -> Message:
        assert (api_key, timeout) == (ApiKey.WRITE_TXN_MARKERS, TIMEOUT)
        self.network.asked.append((self.port, version))
        with trio.move_on_after(self.network.delay):
            await self.ended.wait()
            raise NodeUnreachable("closed by this side")
        return answer(request)

    def close(self) -> None:
        self.network.closed += 1
        self.ended.set()


def answer(request: Any) -> WriteTxnMarkersResponse:
    return WriteTxnMarkersResponse(
        markers=[
            WritableTxnMarkerResult(
                marker.producer_id,
                [
                    WritableTxnMarkerTopicResult(
                        topic.name, [WritableTxnMarkerPartitionResult(index, 0) for index in topic.partition_indexes]
                    )
                    for topic in marker.topics
                ],
            )
            for marker in request.markers
        ]
    )


def code_of(pending: Pending[None]) -> int:
    try:
        pending.result()
    except KafkaError as error:
        return error.code
    return E.NONE


def both() -> Network:
    return Network(WRITE_TXN_MARKERS=(1, 2))


async def run(network: Network, play: "Callable[[MarkerQueue, QueueSender], Any]") -> None:
    queue = MarkerQueue()
    sender = QueueSender(queue, network.where.get, network.connect, "me", TIMEOUT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.run)
        await play(queue, sender)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("theirs", "version"), [((0, 1), 1), ((1, 2), 2), ((1, 9), 2)])
async def test_the_highest_version_that_both_know(
    theirs: tuple[int, int], version: int, autojump_clock: MockClock
) -> None:
    network = Network(WRITE_TXN_MARKERS=theirs)

    async def play(queue: MarkerQueue, sender: QueueSender) -> None:
        await queue.write(2, A, MARKER).wait()
        await queue.write(2, A, MARKER).wait()

    await run(network, play)
    assert network.asked == [(9092, version)] * 2
    assert network.opened == [(9092, "me")]
    assert network.closed == 1


@pytest.mark.parametrize("theirs", [{"WRITE_TXN_MARKERS": (0, 0)}, {"WRITE_TXN_MARKERS": (3, 4)}, {}])
async def test_no_version_in_common(theirs: dict[str, tuple[int, int]], autojump_clock: MockClock) -> None:
    async def play(queue: MarkerQueue, sender: QueueSender) -> None:
        pending = queue.write(2, A, MARKER)
        await wait_all_tasks_blocked()
        assert code_of(pending) == E.UNSUPPORTED_VERSION

    await run(Network(**theirs), play)


async def test_brokers_side_by_side_and_batches(autojump_clock: MockClock) -> None:
    network = both()
    network.delay = 1.0

    async def play(queue: MarkerQueue, sender: QueueSender) -> None:
        pendings = [queue.write(2, A, MARKER), queue.write(3, B, MARKER)]
        await wait_all_tasks_blocked()
        pendings += [queue.write(2, A._replace(partition=n), MARKER) for n in range(5)]
        for pending in pendings:
            await pending.wait()
        assert trio.current_time() == 2.0

    await run(network, play)
    assert sorted(network.asked) == [(9092, 2), (9092, 2), (9093, 2)]


@pytest.mark.parametrize("failure", [NodeUnreachable("away"), MalformedFrame("nonsense")])
async def test_a_broker_that_does_not_answer(failure: Exception, autojump_clock: MockClock) -> None:
    network = both()
    network.failure = failure

    async def play(queue: MarkerQueue, sender: QueueSender) -> None:
        pending = queue.write(2, A, MARKER)
        await wait_all_tasks_blocked()
        assert code_of(pending) == E.NETWORK_EXCEPTION
        network.failure = None
        await queue.write(2, A, MARKER).wait()

    await run(network, play)


async def test_a_broker_that_is_away_is_told_once(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    """Markers are tried again ten times a second."""
    network = both()

    async def play(queue: MarkerQueue, sender: QueueSender) -> None:
        for failure in (NodeUnreachable("away"), None, NodeUnreachable("away")):
            network.failure = failure
            for _ in range(3):
                queue.write(2, A, MARKER)
                await wait_all_tasks_blocked()

    with caplog.at_level("INFO"):
        await run(network, play)
    assert [record.getMessage() for record in caplog.records] == [
        "me has no answer to WriteTxnMarkers from broker 2: away"
    ] * 2


async def test_a_broker_that_is_not_registered(autojump_clock: MockClock) -> None:
    async def play(queue: MarkerQueue, sender: QueueSender) -> None:
        pending = queue.write(9, A, MARKER)
        await wait_all_tasks_blocked()
        assert code_of(pending) == E.NETWORK_EXCEPTION

    network = both()
    await run(network, play)
    assert network.opened == []


async def test_a_broker_that_comes_back_elsewhere(autojump_clock: MockClock) -> None:
    network = both()

    async def play(queue: MarkerQueue, sender: QueueSender) -> None:
        await queue.write(2, A, MARKER).wait()
        network.where[2] = HERE._replace(port=9999)
        await queue.write(2, A, MARKER).wait()

    await run(network, play)
    assert network.asked == [(9092, 2), (9999, 2)]
    assert network.closed == 2


class Cluster:
    """Other brokers as this one, number 1, sees them; broker 3 is that of the network."""

    def __init__(self, network: Network, nursery: trio.Nursery) -> None:
        self.others = OtherBrokers(1, network.where.get, network.connect, TIMEOUT, nursery)
        self.image = self._image(2, fenced=False)

    def _image(self, epoch: int, fenced: bool) -> MetadataImage:
        registration = BrokerRegistration(3, epoch, cast(Any, None), (HERE,), {}, None, fenced, False)
        return MetadataImage.empty()._replace(brokers={3: registration})

    def changes(self, epoch: int = 2, fenced: bool = False) -> None:
        delta, self.image = MetadataDelta(self.image), self._image(epoch, fenced)
        delta.changed_parts.add("brokers")
        self.others.on_metadata_update(delta, self.image)


@pytest.mark.parametrize(
    ("change", "code"), [({"fenced": True}, E.NETWORK_EXCEPTION), ({"epoch": 4}, E.NETWORK_EXCEPTION)]
)
async def test_who_is_fenced_is_not_waited_for(change: dict[str, Any], code: int, autojump_clock: MockClock) -> None:
    network = both()
    network.delay = 20.0
    async with trio.open_nursery() as nursery:
        cluster = Cluster(network, nursery)
        pending = cluster.others.markers.write(3, A, MARKER)
        await trio.sleep(1)
        cluster.changes()
        await wait_all_tasks_blocked()
        assert not pending.done
        cluster.changes(**change)
        await wait_all_tasks_blocked()
        assert (code_of(pending), trio.current_time()) == (code, 1.0)
        nursery.cancel_scope.cancel()


async def test_each_kind_has_a_connection_under_its_name(autojump_clock: MockClock) -> None:
    network = both()
    network.failure = NodeUnreachable("away")
    async with trio.open_nursery() as nursery:
        others = Cluster(network, nursery).others
        others.markers.write(3, A, MARKER)
        others.admissions.ask(3, "tx", ProducerIdentity(7, 0), [A], adds=True)
        others.latest_offsets.ask(3, A)
        assert others.share_states is others.share_states
        await wait_all_tasks_blocked()
        assert {name for _, name in network.opened} == {
            "broker-1-txn-marker-sender",
            "AddPartitionsManager-client-1",
            "NetworkPartitionMetadataClient-client-1",
        }
        nursery.cancel_scope.cancel()
