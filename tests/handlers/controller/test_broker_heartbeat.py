import pytest

from pykbroker.errors import KafkaError
from pykbroker.handlers.controller.broker_heartbeat import (
    CONTROLLED_SHUTDOWN,
    FENCED,
    SHUTDOWN_NOW,
    UNFENCED,
    _Heartbeat,
    next_state,
)
from pykbroker.ids import Uuid
from pykbroker.metadata.image import BrokerRegistration
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatRequest
from pykbroker.protocol.persisted.metadata.broker_registration_change_record import BrokerRegistrationChangeRecord
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
from tests.controller.nodes import ControllerNode, records_of
from tests.metadata.history import uuid


@pytest.fixture
def node(tmp_path):
    return ControllerNode(tmp_path).start()


# The state that follows


def broker(*, fenced=False, leaving=False):
    return BrokerRegistration(1, 7, Uuid(16), (), {}, None, fenced, leaving)


def heartbeat(*, leads=False, others_caught_up=True, offset=10, **fields):
    return _Heartbeat(BrokerHeartbeatRequest(current_metadata_offset=offset, **fields), 10, leads, others_caught_up)


GO, FENCE = {"want_shut_down": True}, {"want_fence": True}


@pytest.mark.parametrize(
    ("present", "sent", "state"),
    [
        (broker(fenced=True), heartbeat(), UNFENCED),
        (broker(fenced=True), heartbeat(offset=9), FENCED),
        (broker(fenced=True), heartbeat(**FENCE), FENCED),
        (broker(fenced=True), heartbeat(**GO), SHUTDOWN_NOW),
        (broker(fenced=True, leaving=True), heartbeat(**GO), SHUTDOWN_NOW),
        (broker(), heartbeat(), UNFENCED),
        (broker(), heartbeat(offset=0), UNFENCED),
        (broker(), heartbeat(**FENCE), FENCED),
        (broker(), heartbeat(**GO), SHUTDOWN_NOW),
        (broker(), heartbeat(leads=True, **GO), CONTROLLED_SHUTDOWN),
        (broker(), heartbeat(leads=True, **GO, **FENCE), SHUTDOWN_NOW),
        (broker(leaving=True), heartbeat(leads=True, **GO), CONTROLLED_SHUTDOWN),
        (broker(leaving=True), heartbeat(others_caught_up=False, **GO), CONTROLLED_SHUTDOWN),
        (broker(leaving=True), heartbeat(**GO), SHUTDOWN_NOW),
    ],
)
def test_states_follow_as_in_kafka(present, sent, state):
    assert next_state(present, sent) == state


# Coming


def test_a_broker_that_caught_up_is_unfenced(node):
    node.register(1)
    behind = node.heartbeat(1, current_metadata_offset=0)
    assert (behind.is_caught_up, behind.is_fenced, behind.should_shut_down) == (False, True, False)
    assert node.image.brokers[1].fenced
    answer = node.heartbeat(1)
    assert (answer.is_caught_up, answer.is_fenced, answer.should_shut_down) == (True, False, False)
    assert not node.image.brokers[1].fenced


def test_heartbeats_of_a_living_broker_write_nothing(node):
    node.bring_up(1)
    end = node.log.end_offset
    for _ in range(3):
        node.clock.advance(8)
        assert not node.heartbeat(1).is_fenced
    assert node.log.end_offset == end


def test_heartbeats_keep_the_session(node):
    node.bring_up(1, 2)
    for _ in range(3):
        node.clock.advance(8)
        node.heartbeat(2)
        node.controller.on_deadline(node.clock.monotonic())
    assert not node.image.brokers[2].fenced


@pytest.mark.parametrize(("broker_id", "epoch"), [(1, 1), (9, 1)])
def test_a_stranger_is_told_so(node, broker_id, epoch):
    node.bring_up(1)
    node.epochs[broker_id] = epoch
    with pytest.raises(KafkaError) as caught:
        node.heartbeat(broker_id)
    assert caught.value.code == ErrorCode.STALE_BROKER_EPOCH


def test_the_first_heartbeat_tells_of_cordoned_directories_as_kafka_does(node):
    node.register(1)
    since = node.log.end_offset
    node.heartbeat(1, cordoned_log_dirs=[])
    epoch = node.epochs[1]
    assert records_of(node, since) == [
        BrokerRegistrationChangeRecord(broker_id=1, broker_epoch=epoch, fenced=-1),
        BrokerRegistrationChangeRecord(broker_id=1, broker_epoch=epoch, cordoned_log_dirs=[]),
    ]
    node.heartbeat(1, cordoned_log_dirs=[uuid(1)])
    assert node.image.brokers[1].cordoned_directories == (uuid(1),)


def test_before_4_3_nobody_speaks_of_cordoned_directories(node):
    node.write([FeatureLevelRecord(name="metadata.version", feature_level=29)])
    node.register(1)
    node.heartbeat(1, cordoned_log_dirs=[])
    assert node.image.brokers[1].cordoned_directories is None


# Going


def test_a_single_broker_goes_in_two_steps_with_kafkas_records(node):
    node.bring_up(1)
    node.create("t", [1], [1])
    topic = node.image.topics.get("t").id
    since = node.log.end_offset
    answer = node.heartbeat(1, want_shut_down=True)
    assert (answer.is_fenced, answer.should_shut_down) == (False, False)
    gone = {"isr": [], "leader": -1, "eligible_leader_replicas": [1], "last_known_elr": [1]}
    epoch = node.epochs[1]
    assert records_of(node, since) == [
        BrokerRegistrationChangeRecord(broker_id=1, broker_epoch=epoch, in_controlled_shutdown=1),
        *(PartitionChangeRecord(topic_id=topic, partition_id=index, **gone) for index in range(2)),
    ]
    since = node.log.end_offset
    answer = node.heartbeat(1, want_shut_down=True)
    assert (answer.is_fenced, answer.should_shut_down) == (True, True)
    assert records_of(node, since) == [BrokerRegistrationChangeRecord(broker_id=1, broker_epoch=epoch, fenced=1)]


def test_its_next_incarnation_may_come_at_once(node):
    node.bring_up(1)
    node.create("t", [1])
    while not node.heartbeat(1, want_shut_down=True).should_shut_down:
        pass
    node.register(1, previous_broker_epoch=node.epochs[1])
    node.heartbeat(1)
    partition = node.partition("t")
    assert (partition.leader, partition.isr, partition.leader_epoch) == (1, (1,), 2)
    assert (partition.elr, partition.last_known_elr, partition.leader_recovery_state) == ((), (), 0)


def test_a_broker_that_leads_nothing_goes_at_once(node):
    node.bring_up(1, 2)
    node.create("t", [2, 1])
    assert node.heartbeat(1, want_shut_down=True).should_shut_down
    assert node.image.brokers[1].fenced
    assert node.partition("t").isr == (2,)


def test_a_leader_goes_when_the_others_know_of_their_new_leaders(node):
    node.bring_up(1, 2)
    node.create("t", [1, 2])
    before = node.image.offset
    assert not node.heartbeat(1, want_shut_down=True).should_shut_down
    assert (node.partition("t").leader, node.partition("t").isr) == (2, (2,))
    node.heartbeat(2, current_metadata_offset=before)
    assert not node.heartbeat(1, want_shut_down=True).should_shut_down
    node.heartbeat(2)
    assert node.heartbeat(1, want_shut_down=True).should_shut_down


def test_a_broker_may_ask_to_be_fenced(node):
    node.bring_up(1, 2)
    node.create("t", [1, 2])
    assert node.heartbeat(1, want_fence=True).is_fenced
    assert node.partition("t").leader == 2
    assert not node.heartbeat(1).is_fenced
