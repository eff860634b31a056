"""ReadShareGroupState, as the real Kafka 4.3.1 answers it. KIP-932."""

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.read_share_group_state import (
    PartitionData,
    ReadShareGroupStateRequest,
    ReadStateData,
)
from tests.handlers.broker.asker import Asker
from tests.handlers.share_state_dialogue import NEGATIVE, OLD_LEADER, ShareState, state, summed, told

UNINITIALIZED = "Read operation on uninitialized share partition not allowed."


def test_a_new_leader_fences_the_old_one(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    share.initialize(state_epoch=3, start_offset=5)
    assert state(share.read(leader_epoch=2)) == (3, 5, [])
    assert summed(share.summary()) == (3, 2, 5, 0)
    assert told(share.read(leader_epoch=1)) == (ErrorCode.FENCED_LEADER_EPOCH, OLD_LEADER)
    assert told(share.read(leader_epoch=-2)) == (ErrorCode.FENCED_LEADER_EPOCH, OLD_LEADER)
    assert told(share.write(state_epoch=3, leader_epoch=1)) == (ErrorCode.FENCED_LEADER_EPOCH, OLD_LEADER)
    assert state(share.read(leader_epoch=-1)) == (3, 5, [])
    assert state(share.read(leader_epoch=2)) == (3, 5, [])
    assert share.write((5, 6, 0, 1), state_epoch=3, leader_epoch=2, complete=1).error_code == 0
    # It changes nothing but the leader.
    assert state(share.read(leader_epoch=7)) == (3, 5, [(5, 6, 0, 1)])
    assert summed(share.summary()) == (3, 7, 5, 1)


def test_what_there_is_not(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    refused = ErrorCode.INVALID_REQUEST, UNINITIALIZED
    assert told(share.read(0)) == refused
    assert told(share.read(2)) == refused
    assert told(share.read(-1)) == (ErrorCode.INVALID_REQUEST, NEGATIVE)
    assert told(share.of_unknown_topic().read()) == refused


def test_requests_that_ask_nothing(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    share.initialize()
    row, empty = ReadStateData(share.topic.id, [PartitionData(0)]), ReadStateData(share.topic.id, [])
    for group, topics in (("", [row]), (share.group, []), (share.group, [row, empty])):
        assert coordinated.ask(ReadShareGroupStateRequest(group, topics), 0).results == []
