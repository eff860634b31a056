import pytest

from pykbroker.errors import KafkaError
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.allocate_producer_ids import AllocateProducerIdsRequest
from pykbroker.request import RequestContext
from tests.controller.nodes import ControllerNode, now


@pytest.fixture
def node(tmp_path):
    node = ControllerNode(tmp_path).start()
    node.bring_up(1)
    return node


def test_a_request_is_answered_by_the_controllers_handler(node):
    request = AllocateProducerIdsRequest(broker_id=1, broker_epoch=node.epochs[1])
    response = now(node.link.forward(RequestContext(ApiKey.ALLOCATE_PRODUCER_IDS, 0), request))
    assert (response.producer_id_start, response.producer_id_len) == (0, 1000)


def test_handlers_are_imported_once(node):
    first = node.link.handler(ApiKey.CREATE_TOPICS)
    assert first is node.link.handler(ApiKey.CREATE_TOPICS)
    assert first.__name__ == "pykbroker.handlers.controller.create_topics"


@pytest.mark.parametrize("api", [ApiKey.PRODUCE, ApiKey.JOIN_GROUP, 999, -1])
def test_what_is_not_the_controllers_is_refused(node, api):
    with pytest.raises(KafkaError) as caught:
        now(node.link.forward(RequestContext(api, 0), AllocateProducerIdsRequest()))
    assert caught.value.code == ErrorCode.INVALID_REQUEST


def test_producer_ids_are_for_this_broker(node):
    assert now(node.link.allocate_producer_ids()) == (0, 1000)
    assert now(node.link.allocate_producer_ids()) == (1000, 1000)


def test_before_it_is_registered_a_broker_gets_none(tmp_path):
    node = ControllerNode(tmp_path).start()
    with pytest.raises(KafkaError) as caught:
        now(node.link.allocate_producer_ids())
    assert caught.value.code == ErrorCode.STALE_BROKER_EPOCH
