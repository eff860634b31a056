"""Elections that an operator asks for, where there is somebody to elect."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.elections import Outcome, elect_leaders
from pykbroker.controller.result import ControllerResult
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topics import RECOVERING, TopicImage
from pykbroker.protocol.enums import ElectionType
from pykbroker.protocol.error_codes import ErrorCode
from tests.controller.images import broker, image_of, replayed, topic_of

PREFERRED, UNCLEAN = ElectionType.PREFERRED, ElectionType.UNCLEAN
CONFIG = BrokerConfig()


def topic(leader: int, isr: tuple[int, ...]) -> TopicImage:
    """Partition 0 as it should be, partition 1 as told; replicas 1, 2, 3."""
    made = topic_of("t", (1, 2, 3), (1, 2, 3))
    changed = made.partitions[1]._replace(leader=leader, isr=isr)
    return made._replace(partitions={**made.partitions, 1: changed})


def image(leader: int, isr: tuple[int, ...], *, down: tuple[int, ...] = ()) -> MetadataImage:
    brokers = [broker(number, fenced=number in down) for number in (1, 2, 3)]
    return image_of(*brokers, topics=[topic(leader, isr)])


def elect(state: MetadataImage, election: ElectionType, *partitions: int) -> ControllerResult[Outcome]:
    return elect_leaders(state, CONFIG, election, [("t", partitions)])


def codes(result: ControllerResult[Outcome]) -> dict[int, int]:
    return {row.partition: row.code for _, rows in result.response for row in rows}


def test_the_preferred_leader_leads_again() -> None:
    before = image(2, (2, 1))
    result = elect(before, PREFERRED, 0, 1)
    assert codes(result) == {0: ErrorCode.ELECTION_NOT_NEEDED, 1: 0}
    partition = replayed(before, result.records).topics.partition("t", 1)
    assert partition is not None
    assert (partition.leader, partition.leader_epoch, partition.isr) == (1, 1, (2, 1))


@pytest.mark.parametrize("state", [image(2, (2, 3)), image(2, (2, 1), down=(1,))])
def test_a_preferred_leader_that_is_not_there(state: MetadataImage) -> None:
    result = elect(state, PREFERRED, 1)
    assert codes(result) == {1: ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE}
    assert result.response[0][1][0].message == "The preferred leader was not available."
    assert result.records == []


def test_an_unclean_election_takes_whoever_is_alive() -> None:
    before = image(-1, (1,), down=(1,))
    result = elect(before, UNCLEAN, 0, 1)
    assert codes(result) == {0: ErrorCode.ELECTION_NOT_NEEDED, 1: 0}
    partition = replayed(before, result.records).topics.partition("t", 1)
    assert partition is not None
    assert (partition.leader, partition.isr, partition.leader_recovery_state) == (2, (2,), RECOVERING)


def test_nobody_is_alive() -> None:
    result = elect(image(-1, (1,), down=(1, 2, 3)), UNCLEAN, 1)
    assert codes(result) == {1: ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE}
    assert result.response[0][1][0].message == "Eligible topic partition leaders are not available."


def test_everything_tells_what_was_elected_or_could_not_be() -> None:
    result = elect_leaders(image(2, (2, 1)), CONFIG, PREFERRED, None)
    assert [(name, [row.partition for row in rows]) for name, rows in result.response] == [("t", [1])]
    assert len(result.records) == 1
    failed = elect_leaders(image(2, (2,)), CONFIG, PREFERRED, None)
    assert codes(failed) == {1: ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE}
