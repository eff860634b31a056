"""What the controller decides when a broker loses one of its log directories, and when it has them all again."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.cluster_control import ClusterControl
from pykbroker.controller.election_rules import may_lead
from pykbroker.ids import DIRECTORY_LOST, DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, Uuid
from pykbroker.metadata.image import FeaturesImage, MetadataImage
from pykbroker.metadata.topics import PartitionImage, TopicImage
from tests.controller.images import broker, directory, image_of, replayed

GOOD, BAD, OTHER = directory(1), directory(1, 1), directory(2)
FEATURES = FeaturesImage({"metadata.version": 30, "eligible.leader.replicas.version": 1})


def partition(replicas: tuple[int, ...], *directories: Uuid) -> PartitionImage:
    return PartitionImage(replicas, directories, replicas, (), (), replicas[0], 0, 4, 4)


TOPIC = TopicImage(
    "t",
    Uuid.random(),
    {
        0: partition((1,), GOOD),
        1: partition((1,), BAD),
        2: partition((1, 2), BAD, OTHER),
        3: partition((2, 1), OTHER, BAD),
        4: partition((1,), DIRECTORY_UNASSIGNED),
    },
)
IMAGE = image_of(broker(1, directories=(GOOD, BAD)), broker(2), topics=[TOPIC])._replace(features=FEATURES)


def lose(image: MetadataImage, *directories: Uuid) -> MetadataImage:
    control = ClusterControl(image, BrokerConfig())
    return replayed(image, control.directories_offline(image.brokers[1], directories))


def states(image: MetadataImage) -> dict[int, tuple[int, tuple[int, ...]]]:
    """(leader, ISR) by partition."""
    topic = image.topics.get("t")
    assert topic is not None
    return {index: (state.leader, state.isr) for index, state in topic.partitions.items()}


def test_what_lies_in_it_is_out_of_sync() -> None:
    after = lose(IMAGE, BAD)
    assert states(after) == {0: (1, (1,)), 1: (-1, ()), 2: (2, (2,)), 3: (2, (2,)), 4: (1, (1,))}
    assert after.brokers[1].directories == (GOOD,)
    lost = after.topics.partition("t", 1)
    assert lost is not None
    assert (lost.elr, lost.last_known_elr) == ((1,), (1,))


@pytest.mark.parametrize("directories", [(), (OTHER,), (Uuid.random(),)])
def test_directories_that_are_not_its_own_change_nothing(directories: tuple[Uuid, ...]) -> None:
    control = ClusterControl(IMAGE, BrokerConfig())
    assert control.directories_offline(IMAGE.brokers[1], directories) == []


def test_told_again_nothing_changes() -> None:
    after = lose(IMAGE, BAD)
    assert ClusterControl(after, BrokerConfig()).directories_offline(after.brokers[1], [BAD]) == []


@pytest.mark.parametrize(("registered", "leader"), [((GOOD,), -1), ((GOOD, BAD), 1)])
def test_unfenced_it_leads_what_it_has(registered: tuple[Uuid, ...], leader: int) -> None:
    """It was started again, without the directory or with it."""
    lost = lose(IMAGE, BAD)
    fenced = lost._replace(brokers={**lost.brokers, 1: broker(1, directories=registered, fenced=True)})
    control = ClusterControl(fenced, BrokerConfig())
    after = replayed(fenced, control.unfence(fenced.brokers[1]))
    assert states(after)[1] == (leader, (1,) if leader == 1 else ())


@pytest.mark.parametrize(
    ("lies_in", "can"),
    [
        (GOOD, True),
        (BAD, True),
        (OTHER, False),
        (DIRECTORY_LOST, False),
        (DIRECTORY_UNASSIGNED, True),
        (DIRECTORY_MIGRATING, True),
    ],
)
def test_who_may_lead(lies_in: Uuid, can: bool) -> None:
    assert may_lead(IMAGE, partition((1,), lies_in))(1) is can
    assert not may_lead(IMAGE, partition((9,), lies_in))(9), "nobody"
