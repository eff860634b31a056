import pytest

from pykbroker.controller.producer_id_control import BLOCK_SIZE, MAX_PRODUCER_ID, allocate_producer_ids
from pykbroker.errors import KafkaError
from pykbroker.metadata.image import MetadataImage, ProducerIdsImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.persisted.metadata.register_broker_record import RegisterBrokerRecord
from tests.metadata.history import replay

IMAGE = replay(MetadataImage.empty("c"), [RegisterBrokerRecord(broker_id=1, broker_epoch=5)])


def test_blocks_follow_each_other():
    image, firsts = IMAGE, []
    for _ in range(3):
        records, block = allocate_producer_ids(image, 1, 5)
        firsts.append(block.first)
        assert block.size == BLOCK_SIZE == 1000
        image = replay(image, records)
    assert firsts == [0, 1000, 2000]
    assert image.producer_ids.next_producer_id == 3000


def test_the_record_says_who_asked():
    [record], _ = allocate_producer_ids(IMAGE, 1, 5)
    assert (record.broker_id, record.broker_epoch, record.next_producer_id) == (1, 5, 1000)


@pytest.mark.parametrize(("broker", "epoch"), [(1, 4), (1, 6), (2, 5)])
def test_only_a_registered_incarnation_gets_one(broker, epoch):
    with pytest.raises(KafkaError) as caught:
        allocate_producer_ids(IMAGE, broker, epoch)
    assert caught.value.code == ErrorCode.STALE_BROKER_EPOCH


def test_ids_run_out_without_going_round():
    last = IMAGE._replace(producer_ids=ProducerIdsImage(MAX_PRODUCER_ID - BLOCK_SIZE))
    records, block = allocate_producer_ids(last, 1, 5)
    assert block.first + block.size == MAX_PRODUCER_ID
    with pytest.raises(KafkaError) as caught:
        allocate_producer_ids(replay(last, records), 1, 5)
    assert caught.value.code == ErrorCode.UNKNOWN_SERVER_ERROR
