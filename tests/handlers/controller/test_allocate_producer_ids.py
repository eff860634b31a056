import pytest

from pykbroker.errors import KafkaError
from pykbroker.handlers.controller.allocate_producer_ids import handle
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.allocate_producer_ids import AllocateProducerIdsRequest, AllocateProducerIdsResponse
from pykbroker.request import RequestContext
from tests.controller.nodes import ControllerNode, now


@pytest.fixture
def node(tmp_path):
    node = ControllerNode(tmp_path).start()
    node.bring_up(1)
    return node


def allocate(node, **fields):
    request = AllocateProducerIdsRequest(**{"broker_id": 1, "broker_epoch": node.epochs[1], **fields})
    return now(handle(node.controller, RequestContext(67, 0), request))


def test_blocks_of_a_thousand(node):
    assert allocate(node) == AllocateProducerIdsResponse(producer_id_start=0, producer_id_len=1000)
    assert allocate(node) == AllocateProducerIdsResponse(producer_id_start=1000, producer_id_len=1000)


def test_no_block_is_given_twice_after_a_restart(node):
    allocate(node)
    again = node.again()
    again.epochs = node.epochs
    assert allocate(again).producer_id_start == 1000


def test_a_stale_epoch_gets_none(node):
    with pytest.raises(KafkaError) as caught:
        allocate(node, broker_epoch=node.epochs[1] - 1)
    assert caught.value.code == ErrorCode.STALE_BROKER_EPOCH
    assert node.image.producer_ids.next_producer_id == -1
