import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller_link.lifecycle_loop import RETRY_PAUSE, LifecycleLoop
from pykbroker.errors import KafkaError
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatResponse
from pykbroker.protocol.messages.unregister_broker import UnregisterBrokerRequest
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from tests.controller.nodes import CLUSTER, ENDPOINT, ControllerNode, TrioClock
from tests.metadata.history import uuid


class Watched:
    """A link that remembers the heartbeats, and can answer them itself."""

    def __init__(self, link):
        self.link = link
        self.heartbeats = []
        self.answers = []

    async def call(self, api_key, request):
        if api_key == ApiKey.BROKER_HEARTBEAT:
            self.heartbeats.append((trio.current_time(), request))
            if self.answers:
                return self.answers.pop(0)
        return await self.link.call(api_key, request)

    def times(self):
        return [round(time, 3) for time, _ in self.heartbeats]


@pytest.fixture
async def node(tmp_path):
    return ControllerNode(tmp_path, clock=TrioClock()).start()


def lifecycle(node, **fields):
    link = Watched(node.link)
    values = {
        "link": link,
        "config": node.config,
        "image": lambda: node.image,
        "node_id": 1,
        "cluster_id": CLUSTER,
        "incarnation_id": uuid(7),
        "directory_ids": [uuid(1)],
        "endpoints": [ENDPOINT],
        **fields,
    }
    return LifecycleLoop(**values), link


async def test_a_broker_comes_and_goes(node, autojump_clock):
    life, link = lifecycle(node, rack="r", previous_epoch=3)
    assert await life.register() == life.broker_epoch == node.image.brokers[1].epoch
    broker = node.image.brokers[1]
    assert (broker.fenced, broker.rack, broker.endpoints) == (True, "r", (ENDPOINT,))
    assert (broker.incarnation_id, broker.directories) == (uuid(7), (uuid(1),))
    await life.unfence()
    assert not node.image.brokers[1].fenced
    node.create("t", [1])
    await life.controlled_shutdown()
    assert node.image.brokers[1].fenced
    assert node.partition("t").leader == -1
    # Alone it need not wait for anybody: no time passed.
    assert [request.want_shut_down for _, request in link.heartbeats] == [False, True, True]
    assert len(set(link.times())) == 1


async def test_registration_tells_the_epoch_of_the_last_clean_stop(node, autojump_clock):
    life, _ = lifecycle(node)
    epoch = await life.register()
    await life.unfence()
    node.create("t", [1])
    node = node.again()
    again, _ = lifecycle(node, previous_epoch=epoch, incarnation_id=uuid(8))
    await again.register()
    assert node.partition("t").elr == (1,)
    await again.unfence()
    assert (node.partition("t").leader, node.partition("t").leader_recovery_state) == (1, 0)


async def test_what_the_cluster_has_finalized_is_honoured(node, autojump_clock):
    node.write([FeatureLevelRecord(name="new.version", feature_level=1)])
    life, _ = lifecycle(node)
    await life.register()
    assert node.image.brokers[1].features["new.version"] == (0, 1)
    assert node.image.brokers[1].features["metadata.version"] == (7, 30)


async def test_to_controllers_elsewhere_no_broker_claims_what_it_does_not_have(node, autojump_clock):
    node.write([FeatureLevelRecord(name="share.version", feature_level=2)])
    life, _ = lifecycle(node, config=BrokerConfig({"process.roles": "broker"}))
    with pytest.raises(KafkaError, match="does not support finalized version 2") as caught:
        await life.register()
    assert caught.value.code == ErrorCode.UNSUPPORTED_VERSION


async def test_a_refused_registration_is_raised(node, autojump_clock):
    life, _ = lifecycle(node, cluster_id="other")
    with pytest.raises(KafkaError) as caught:
        await life.register()
    assert caught.value.code == ErrorCode.INCONSISTENT_CLUSTER_ID
    assert life.broker_epoch == -1


async def test_metadata_from_before_the_registration_are_not_enough(node, autojump_clock):
    """They may say that this broker leads what it lost in a crash."""
    before = node.image
    life, link = lifecycle(node, image=lambda: node.image if link.heartbeats else before)
    await life.register()
    await life.catch_up()
    assert [(each.want_fence, each.want_shut_down) for _, each in link.heartbeats] == [(True, False)] * 2
    first, second = (each.current_metadata_offset for _, each in link.heartbeats)
    assert first < life.broker_epoch <= second
    assert node.image.brokers[1].fenced


async def test_unfencing_is_asked_for_until_it_is_granted(node, autojump_clock):
    life, link = lifecycle(node)
    await life.register()
    link.answers = [BrokerHeartbeatResponse(is_fenced=True)] * 3
    await life.unfence()
    assert link.times() == [round(RETRY_PAUSE * n, 3) for n in range(4)]


async def test_a_cluster_of_an_earlier_release_hears_nothing_of_cordoned_directories(node, autojump_clock):
    """Its controllers have no version of the heartbeat that could carry them."""
    life, link = lifecycle(node)
    await life.register()
    await life.unfence()
    node.write([FeatureLevelRecord(name="metadata.version", feature_level=29)])
    await life.unfence()
    assert [request.cordoned_log_dirs for _, request in link.heartbeats] == [[], None]
    assert link.heartbeats[1][1].encode(1)


async def test_heartbeats_come_every_interval(node, nursery, autojump_clock):
    life, link = lifecycle(node)
    await life.register()
    await life.unfence()
    await nursery.start(life.run)
    link.heartbeats.clear()
    start = trio.current_time()
    await trio.sleep(7)
    assert link.times() == [round(start + 2 * n, 3) for n in (1, 2, 3)]
    assert all(request.current_metadata_offset == node.image.offset for _, request in link.heartbeats)
    nursery.cancel_scope.cancel()


async def test_a_heartbeat_tells_how_far_all_parts_have_followed(node, autojump_clock):
    """The controller unfences who has taken over its own registration, and waits for the others before one leaves."""
    applied = [-1]
    life, link = lifecycle(node, applied_offset=lambda: applied[0])
    await life.register()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(life.unfence)
        await trio.sleep(1.5 * RETRY_PAUSE)
        applied[0] = node.image.offset
    assert [request.current_metadata_offset for _, request in link.heartbeats] == [-1, -1, applied[0]]


async def test_directories_are_told_when_the_cluster_can_know_of_them(node, nursery, autojump_clock):
    """Until then the controller took them for lost: after the upgrade nobody led what lay there."""
    node.write([FeatureLevelRecord(name="metadata.version", feature_level=16)])
    life, _ = lifecycle(node)
    epoch = await life.register()
    await life.unfence()
    assert node.image.brokers[1].directories == ()
    await nursery.start(life.run)
    await trio.sleep(3)
    node.write([FeatureLevelRecord(name="metadata.version", feature_level=30)])
    await trio.sleep(2)
    broker = node.image.brokers[1]
    assert (broker.directories, broker.epoch, broker.fenced) == ((uuid(1),), epoch, False)
    offset = node.image.offset
    await trio.sleep(4)
    assert node.image.offset == offset
    nursery.cancel_scope.cancel()


async def test_a_broker_that_has_a_newer_incarnation_stops(node, autojump_clock):
    life, _ = lifecycle(node)
    await life.register()
    other, _ = lifecycle(node, incarnation_id=uuid(9))
    await other.register()
    with pytest.raises(KafkaError) as caught:
        await life.run()
    assert caught.value.code == ErrorCode.STALE_BROKER_EPOCH


async def test_a_broker_that_is_unregistered_while_it_lives_comes_back(node, nursery, autojump_clock, caplog):
    """Found by the fuzzer: a client's UnregisterBroker stopped the whole process."""
    life, _ = lifecycle(node)
    first = await life.register()
    await life.unfence()
    await nursery.start(life.run)
    await node.link.call(ApiKey.UNREGISTER_BROKER, UnregisterBrokerRequest(broker_id=1))
    assert 1 not in node.image.brokers
    await trio.sleep(2 * node.config.broker_heartbeat_interval_ms / 1000)
    await wait_all_tasks_blocked()
    broker = node.image.brokers[1]
    assert (broker.fenced, broker.epoch) == (False, life.broker_epoch)
    assert broker.epoch > first
    assert "registering anew" in caplog.text


async def test_an_unregistered_broker_can_go_in_order(node, autojump_clock):
    life, _ = lifecycle(node)
    await life.register()
    await life.unfence()
    await node.link.call(ApiKey.UNREGISTER_BROKER, UnregisterBrokerRequest(broker_id=1))
    await life.controlled_shutdown()
    assert node.image.brokers[1].fenced


async def test_a_shutdown_that_takes_long_is_asked_for_again(node, autojump_clock):
    life, link = lifecycle(node)
    await life.register()
    await life.unfence()
    link.heartbeats.clear()
    link.answers = [BrokerHeartbeatResponse(should_shut_down=False)] * 4
    await life.controlled_shutdown()
    assert link.times() == [round(RETRY_PAUSE * n, 3) for n in (0, 0, 1, 2, 3)]


async def test_a_broker_that_went_is_not_unfenced_again(node, nursery, autojump_clock):
    life, link = lifecycle(node)
    await life.register()
    await life.unfence()
    node.create("t", [1])
    await nursery.start(life.run)
    await life.controlled_shutdown()
    sent = len(link.heartbeats)
    await trio.sleep(60)
    await wait_all_tasks_blocked()
    assert len(link.heartbeats) == sent
    assert node.image.brokers[1].fenced
    assert node.partition("t").leader == -1


async def test_a_heartbeat_that_is_sent_again_does_not_unfence_a_broker_that_went(node, nursery, autojump_clock):
    """Its first try was lost with the connection when the broker began to stop; found by reading."""
    life, link = lifecycle(node)
    await life.register()
    await life.unfence()
    again = trio.Event()
    send = link.call

    async def call(api_key, request):
        if not life._is_shutting_down:
            await again.wait()
        return await send(api_key, request)

    link.call = call
    await nursery.start(life.run)
    await trio.sleep(3)
    await life.controlled_shutdown()
    assert node.image.brokers[1].fenced
    again.set()
    await wait_all_tasks_blocked()
    assert len(link.heartbeats) == 3, "to be unfenced, to go, and the one that came late"
    assert node.image.brokers[1].fenced


async def test_directories_that_failed_are_told(node, nursery, autojump_clock):
    offline = []
    life, link = lifecycle(node, directory_ids=[uuid(1), uuid(2)], offline_directory_ids=lambda: offline)
    await life.register()
    await life.unfence()
    nursery.start_soon(life.run)
    offline.append(uuid(2))
    await trio.sleep(node.config.broker_heartbeat_interval_ms / 1000 + 0.01)
    assert [request.offline_log_dirs for _, request in link.heartbeats] == [[], [uuid(2)]]
    assert node.image.brokers[1].directories == (uuid(1),)
    await life.register()
    assert node.image.brokers[1].directories == (uuid(1),)


async def test_a_directory_that_fails_is_told_at_once(node, nursery, autojump_clock):
    offline, given_up = [], []
    life, _ = lifecycle(
        node,
        directory_ids=[uuid(1), uuid(2)],
        offline_directory_ids=lambda: offline,
        on_untold_failure=lambda: given_up.append(trio.current_time()),
    )
    await life.register()
    await life.unfence()
    await nursery.start(life.run)
    nursery.start_soon(life.watch_failures)
    await trio.sleep(0.5)
    offline.append(uuid(2))
    life.directory_failed(uuid(2))
    before = trio.current_time()
    await wait_all_tasks_blocked()
    assert node.image.brokers[1].directories == (uuid(1),)
    assert trio.current_time() == before
    await trio.sleep(100)
    assert not given_up, "it was told"


class Deaf(Watched):
    """No heartbeat is answered any more."""

    is_deaf = False

    async def call(self, api_key, request):
        if self.is_deaf and api_key == ApiKey.BROKER_HEARTBEAT:
            await trio.sleep_forever()
        return await super().call(api_key, request)


async def test_a_controller_that_cannot_be_told_of_a_failed_directory(node, nursery, autojump_clock, caplog):
    """log.dir.failure.timeout.ms: the broker must not live on as if it led what lay there."""
    given_up = []
    life, _ = lifecycle(
        node,
        link=(link := Deaf(node.link)),
        config=node.config.with_overrides({"log.dir.failure.timeout.ms": "5000"}),
        directory_ids=[uuid(1), uuid(2)],
        offline_directory_ids=lambda: [uuid(2)],
        on_untold_failure=lambda: given_up.append(trio.current_time()),
    )
    await life.register()
    await life.unfence()
    await nursery.start(life.run)
    nursery.start_soon(life.watch_failures)
    link.is_deaf = True
    start = trio.current_time() + 3
    await trio.sleep(3)
    assert not given_up, "nothing has failed"
    life.directory_failed(uuid(2))
    await trio.sleep(60)
    assert given_up == [start + 5]
    assert f"Log directory {uuid(2)} has failed, and no controller could be told in time" in caplog.text
    nursery.cancel_scope.cancel()


async def test_a_failure_that_a_heartbeat_missed_is_told_by_the_next(node, nursery, autojump_clock):
    """It fails while the controller thinks."""
    offline, gate = [], trio.Event()
    life, link = lifecycle(node, directory_ids=[uuid(1), uuid(2)], offline_directory_ids=lambda: list(offline))
    await life.register()
    await life.unfence()
    call = link.call

    async def slow(api_key, request):
        await gate.wait()
        return await call(api_key, request)

    link.call = slow
    link.heartbeats.clear()
    await nursery.start(life.run)
    nursery.start_soon(life.watch_failures)
    await trio.sleep(2.001)
    offline.append(uuid(2))
    life.directory_failed(uuid(2))
    gate.set()
    await trio.sleep(0.5)
    assert [request.offline_log_dirs for _, request in link.heartbeats] == [[], [uuid(2)]]
