"""Where replicas lie, as their brokers tell."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.directory_control import assign_replicas
from pykbroker.errors import KafkaError
from pykbroker.ids import ZERO_UUID
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.error_codes import ErrorCode
from tests.controller.images import broker, directory, image_of, replayed, topic_of

ONE, TWO, LOST = directory(1), directory(1, 1), directory(1, 7)
TOPIC = topic_of("t", (1, 2), (1,), (2,))
IMAGE = image_of(broker(1, directories=(ONE, TWO)), broker(2), topics=[TOPIC])
EPOCH = IMAGE.brokers[1].epoch


def assign(
    *wanted: tuple[object, object, int], image: MetadataImage = IMAGE, epoch: int = EPOCH
) -> tuple[list[int], MetadataImage]:
    result = assign_replicas(image, BrokerConfig(), 1, epoch, wanted)  # type: ignore[arg-type]
    return result.response, replayed(image, result.records)


def test_a_replica_lies_elsewhere() -> None:
    codes, after = assign((TWO, TOPIC.id, 0), (ONE, TOPIC.id, 1))
    assert codes == [0, 0]
    partition, before = after.topics.partition("t", 0), TOPIC.partitions[0]
    assert partition == before._replace(directories=(TWO, directory(2)), partition_epoch=1)
    assert after.topics.partition("t", 1) == TOPIC.partitions[1], "nothing is written where nothing changes"


def test_what_is_not_there() -> None:
    codes, after = assign((TWO, ZERO_UUID, 0), (TWO, TOPIC.id, 9), (TWO, TOPIC.id, 2), (TWO, TOPIC.id, 1))
    assert codes == [
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        0,
    ]
    assert after.topics.partition("t", 2) == TOPIC.partitions[2]


def test_in_a_directory_that_is_lost_nothing_is_in_sync() -> None:
    codes, after = assign((LOST, TOPIC.id, 0))
    partition = after.topics.partition("t", 0)
    assert partition is not None
    assert (codes, partition.isr, partition.leader) == ([0], (2,), 2)
    assert partition.directory(1) == LOST


def test_who_leads_when_the_last_one_in_sync_lies_in_a_directory_that_is_lost() -> None:
    topic = TOPIC._replace(partitions={0: TOPIC.partitions[0]._replace(isr=(1,))})
    image = image_of(*IMAGE.brokers.values(), topics=[topic])
    leaders = []
    for enabled in ("false", "true"):
        config = BrokerConfig({"unclean.leader.election.enable": enabled})
        result = assign_replicas(image, config, 1, EPOCH, [(LOST, topic.id, 0)])
        partition = replayed(image, result.records).topics.partition("t", 0)
        assert partition is not None
        leaders.append((partition.leader, partition.isr))
    assert leaders == [(-1, (1,)), (2, (2,))]


@pytest.mark.parametrize(
    ("image", "epoch", "code"),
    [
        (IMAGE, EPOCH + 1, ErrorCode.STALE_BROKER_EPOCH),
        (image_of(broker(2), topics=[TOPIC]), EPOCH, ErrorCode.STALE_BROKER_EPOCH),
        (image_of(broker(1), metadata_version=16), EPOCH, ErrorCode.UNSUPPORTED_VERSION),
    ],
)
def test_who_may_not_say_so(image: MetadataImage, epoch: int, code: int) -> None:
    with pytest.raises(KafkaError) as caught:
        assign((TWO, TOPIC.id, 0), image=image, epoch=epoch)
    assert caught.value.code == code
