import pytest

from pykbroker.errors import KafkaError
from pykbroker.handlers.controller.broker_registration import handle
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.broker_registration import BrokerRegistrationResponse
from pykbroker.request import RequestContext
from tests.controller.nodes import ControllerNode, now


@pytest.fixture
def node(tmp_path):
    return ControllerNode(tmp_path).start()


def register(node, broker_id=1, **fields):
    return now(handle(node.controller, RequestContext(62, 4), node.registration(broker_id, **fields)))


def test_the_answer_is_the_epoch(node):
    end = node.log.end_offset
    assert register(node) == BrokerRegistrationResponse(broker_epoch=end)
    assert node.image.brokers[1].epoch == end


def test_an_error_is_raised_and_nothing_written(node):
    end = node.log.end_offset
    with pytest.raises(KafkaError) as caught:
        register(node, cluster_id="x")
    assert caught.value.code == ErrorCode.INCONSISTENT_CLUSTER_ID
    assert node.log.end_offset == end


def test_the_broker_must_replay_its_own_registration(node):
    register(node)
    register(node, 2)
    assert node.controller.registration_offset(1) == node.image.brokers[1].epoch
    # What comes before the registration in its batch counts too.
    node.create("t", [1])
    node.epochs[1] = node.image.brokers[1].epoch
    node.heartbeat(1)
    node.clock.advance(9)
    epoch = register(node, incarnation_id=Uuid.random()).broker_epoch
    assert node.controller.registration_offset(1) == epoch + 1 == node.image.offset


def test_after_a_restart_it_must_replay_what_was_there(node):
    register(node)
    node.create("t", [1])
    again = node.again()
    assert again.controller.registration_offset(1) == node.image.offset
