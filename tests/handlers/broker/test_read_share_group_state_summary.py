"""ReadShareGroupStateSummary, as the real Kafka 4.3.1 answers it. KIP-932, KIP-1226 (delivery complete count)."""

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.read_share_group_state_summary import (
    PartitionData,
    ReadShareGroupStateSummaryRequest,
    ReadStateSummaryData,
)
from tests.handlers.broker.asker import Asker
from tests.handlers.share_state_dialogue import NEGATIVE, NO_TOPIC, ShareState, summed, told


def test_what_it_says(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    assert summed(share.summary()) == (0, 0, -1, -1)
    share.initialize(state_epoch=2, start_offset=6)
    share.read(leader_epoch=4)
    share.write((6, 8, 2, 1), state_epoch=2, leader_epoch=4, complete=3)
    assert summed(share.summary()) == (2, 4, 6, 3)
    assert summed(share.summary(version=0)) == (2, 4, 6, -1)


def test_what_there_is_not(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    assert told(share.summary(-1)) == (ErrorCode.INVALID_REQUEST, NEGATIVE)
    assert told(share.summary(2)) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NO_TOPIC)
    assert told(share.of_unknown_topic().summary()) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NO_TOPIC)


def test_requests_that_ask_nothing(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    row, empty = ReadStateSummaryData(share.topic.id, [PartitionData(0)]), ReadStateSummaryData(share.topic.id, [])
    for group, topics in (("", [row]), (share.group, []), (share.group, [row, empty])):
        assert coordinated.ask(ReadShareGroupStateSummaryRequest(group, topics), 1).results == []
