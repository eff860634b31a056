"""DeleteShareGroupState, as the real Kafka 4.3.1 answers it. KIP-932."""

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.delete_share_group_state import (
    DeleteShareGroupStateRequest,
    DeleteStateData,
    PartitionData,
)
from tests.handlers.broker.asker import Asker
from tests.handlers.share_state_dialogue import NEGATIVE, NO_TOPIC, ShareState, state, summed, told


def test_all_is_forgotten(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    share.initialize(0, state_epoch=5, start_offset=3)
    share.initialize(1, start_offset=4)
    share.read(leader_epoch=8)
    assert told(share.delete()) == (0, None)
    assert summed(share.summary()) == (0, 0, -1, -1)
    assert share.read().error_code == ErrorCode.INVALID_REQUEST
    assert state(share.read(1)) == (0, 4, [])
    # Epochs begin again.
    assert told(share.initialize(0, state_epoch=1, start_offset=9)) == (0, None)
    assert state(share.read(leader_epoch=1)) == (1, 9, [])


def test_what_there_is_not(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    assert told(share.delete()) == (0, None)
    assert told(share.delete(-1)) == (ErrorCode.INVALID_REQUEST, NEGATIVE)
    assert told(share.delete(2)) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NO_TOPIC)
    assert told(share.of_unknown_topic().delete()) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NO_TOPIC)


def test_requests_that_ask_nothing(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    share.initialize()
    row, empty = DeleteStateData(share.topic.id, [PartitionData(0)]), DeleteStateData(share.topic.id, [])
    for group, topics in (("", [row]), (share.group, []), (share.group, [row, empty])):
        assert coordinated.ask(DeleteShareGroupStateRequest(group, topics), 0).results == []
    assert state(share.read()) == (0, 0, [])
