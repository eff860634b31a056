"""InitializeShareGroupState, as the real Kafka 4.3.1 answers it. KIP-932."""

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.initialize_share_group_state import (
    InitializeShareGroupStateRequest,
    InitializeStateData,
    PartitionData,
)
from tests.handlers.broker.asker import Asker
from tests.handlers.share_state_dialogue import NEGATIVE, NO_TOPIC, OLD_STATE, ShareState, state, summed, told


def test_from_an_offset_and_anew(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    assert told(share.initialize(0, state_epoch=1, start_offset=7)) == (0, None)
    assert state(share.read()) == (1, 7, [])
    assert summed(share.summary()) == (1, 0, 7, 0)
    assert told(share.write((7, 9, 2, 1), state_epoch=1, complete=3)) == (0, None)
    assert told(share.initialize(0, state_epoch=1, start_offset=-1)) == (0, None)
    assert state(share.read()) == (1, -1, [])
    assert summed(share.summary()) == (1, 0, -1, -1)


def test_an_old_state_epoch_is_fenced(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    share.initialize(0, state_epoch=5)
    assert told(share.initialize(0, state_epoch=4)) == (ErrorCode.FENCED_STATE_EPOCH, OLD_STATE)
    assert told(share.initialize(0, state_epoch=-2)) == (ErrorCode.FENCED_STATE_EPOCH, OLD_STATE)
    assert told(share.initialize(0, state_epoch=-1)) == (0, None)
    assert state(share.read())[0] == -1
    # What was there before still counts.
    assert told(share.initialize(0, state_epoch=4)) == (ErrorCode.FENCED_STATE_EPOCH, OLD_STATE)
    assert told(share.initialize(0, state_epoch=5)) == (0, None)
    assert told(share.initialize(1, state_epoch=-5)) == (0, None)


def test_it_forgets_the_leader_but_fences_old_ones(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    share.initialize()
    assert state(share.read(leader_epoch=4)) == (0, 0, [])
    share.initialize(start_offset=3)
    assert summed(share.summary()) == (0, 0, 3, 0)
    assert share.read(leader_epoch=3).error_code == ErrorCode.FENCED_LEADER_EPOCH
    assert state(share.read(leader_epoch=4)) == (0, 3, [])
    assert summed(share.summary()) == (0, 0, 3, 0)
    assert state(share.read(leader_epoch=5)) == (0, 3, [])
    assert summed(share.summary()) == (0, 5, 3, 0)


def test_what_there_is_not(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    assert told(share.initialize(-1)) == (ErrorCode.INVALID_REQUEST, NEGATIVE)
    assert told(share.initialize(2)) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NO_TOPIC)
    assert told(share.of_unknown_topic().initialize()) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NO_TOPIC)


def test_requests_that_ask_nothing(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    row = InitializeStateData(share.topic.id, [PartitionData(0)])
    for group, topics in (("", [row]), (share.group, [])):
        assert coordinated.ask(InitializeShareGroupStateRequest(group, topics), 0).results == []
    assert share.summary().start_offset == -1
    # Unlike the other four it takes a topic without partitions.
    row = InitializeStateData(share.topic.id, [PartitionData(0)])
    empty = InitializeStateData(share.of_unknown_topic().topic.id, [])
    response = coordinated.ask(InitializeShareGroupStateRequest(share.group, [empty, row]), 0)
    assert [result.topic_id for result in response.results] == [share.topic.id]
    assert share.summary().start_offset == 0


def test_many_at_once(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    rows = [PartitionData(1, 1, 11), PartitionData(0, 1, 10), PartitionData(9), PartitionData(0, 2, 12)]
    topics = [InitializeStateData(share.topic.id, rows)]
    (result,) = coordinated.ask(InitializeShareGroupStateRequest(share.group, topics), 0).results
    codes = {row.partition: row.error_code for row in result.partitions}
    assert codes[0] == codes[1] == 0
    assert codes[9] in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NOT_COORDINATOR)
    assert len(result.partitions) == 3
    assert state(share.read(0)) == (2, 12, [])
    assert state(share.read(1)) == (1, 11, [])
