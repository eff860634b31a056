"""WriteShareGroupState, as the real Kafka 4.3.1 answers it. KIP-932, KIP-1226 (delivery complete count)."""

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.write_share_group_state import (
    PartitionData,
    StateBatch,
    WriteShareGroupStateRequest,
    WriteStateData,
)
from tests.handlers.broker.asker import Asker
from tests.handlers.share_state_dialogue import (
    NEGATIVE,
    OLD_LEADER,
    OLD_STATE,
    Batch,
    ShareState,
    batches,
    state,
    summed,
    told,
)

AVAILABLE, ACKNOWLEDGED, ARCHIVED = 0, 2, 4
UNINITIALIZED = "Write operation on uninitialized share partition not allowed."


def test_batches_add_up_and_the_start_offset_cuts_them(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    share.initialize(start_offset=10)
    assert told(share.write((10, 19, ACKNOWLEDGED, 1), (20, 29, AVAILABLE, 1), complete=10)) == (0, None)
    assert summed(share.summary()) == (0, 0, 10, 10)
    assert told(share.write((25, 34, ARCHIVED, 5), complete=20)) == (0, None)
    merged = [(10, 19, ACKNOWLEDGED, 1), (20, 24, AVAILABLE, 1), (25, 34, ARCHIVED, 5)]
    assert state(share.read()) == (0, 10, merged)
    assert told(share.write(start_offset=22, complete=10)) == (0, None)
    assert state(share.read()) == (0, 22, [(22, 24, AVAILABLE, 1), (25, 34, ARCHIVED, 5)])
    assert told(share.write((35, 40, ARCHIVED, 5), start_offset=-1, complete=16)) == (0, None)
    assert state(share.read()) == (0, 22, [(22, 24, AVAILABLE, 1), (25, 40, ARCHIVED, 5)])
    assert summed(share.summary()) == (0, 0, 22, 16)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        # Of two that overlap the higher delivery count wins, then the higher state.
        ([(0, 9, 0, 1), (0, 9, 0, 2)], [(0, 9, 0, 2)]),
        ([(0, 9, 0, 2), (0, 9, 2, 1)], [(0, 9, 0, 2)]),
        ([(0, 9, 0, 1), (3, 5, 2, 1)], [(0, 2, 0, 1), (3, 5, 2, 1), (6, 9, 0, 1)]),
        ([(0, 9, 2, 1), (3, 5, 0, 1)], [(0, 9, 2, 1)]),
        ([(0, 9, 2, 1), (5, 15, 0, 1)], [(0, 9, 2, 1), (10, 15, 0, 1)]),
        ([(0, 9, 0, 1), (5, 15, 2, 1)], [(0, 4, 0, 1), (5, 15, 2, 1)]),
        ([(0, 9, 0, 1), (5, 9, 2, 1)], [(0, 4, 0, 1), (5, 9, 2, 1)]),
        ([(0, 5, 2, 1), (0, 9, 0, 1)], [(0, 5, 2, 1), (6, 9, 0, 1)]),
        ([(0, 5, 0, 1), (0, 9, 2, 1)], [(0, 9, 2, 1)]),
        # Neighbours that are alike become one.
        ([(0, 4, 0, 1), (5, 9, 0, 1), (11, 12, 0, 1)], [(0, 9, 0, 1), (11, 12, 0, 1)]),
    ],
)
def test_batches_that_overlap(coordinated: Asker, written: list[Batch], found: list[Batch]) -> None:
    share = ShareState(coordinated)
    share.initialize()
    assert share.write(*written).error_code == 0
    assert batches(share.read()) == found


def test_old_epochs_are_fenced_the_leader_first(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    share.initialize(state_epoch=5)
    share.read(leader_epoch=3)
    assert told(share.write(leader_epoch=2, state_epoch=4)) == (ErrorCode.FENCED_LEADER_EPOCH, OLD_LEADER)
    assert told(share.write(leader_epoch=3, state_epoch=4)) == (ErrorCode.FENCED_STATE_EPOCH, OLD_STATE)
    assert told(share.write(leader_epoch=-2, state_epoch=5)) == (ErrorCode.FENCED_LEADER_EPOCH, OLD_LEADER)
    assert told(share.write(leader_epoch=-1, state_epoch=-2)) == (ErrorCode.FENCED_STATE_EPOCH, OLD_STATE)
    assert told(share.write(leader_epoch=-1, state_epoch=-1)) == (0, None)
    # Newer ones are allowed, and not written down.
    assert told(share.write((0, 0, 2, 1), leader_epoch=9, state_epoch=9, complete=1)) == (0, None)
    assert summed(share.summary()) == (5, 3, 0, 1)
    assert told(share.write(leader_epoch=3, state_epoch=5)) == (0, None)


def test_version_0_knows_no_delivery_complete_count(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    share.initialize()
    assert share.write((0, 3, 2, 1), complete=4).error_code == 0
    assert share.summary().delivery_complete_count == 4
    assert share.write((4, 4, 2, 1), version=0).error_code == 0
    assert share.summary().delivery_complete_count == -1


def test_what_there_is_not(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    refused = ErrorCode.INVALID_REQUEST, UNINITIALIZED
    assert told(share.write((0, 1, 0, 1))) == refused
    assert told(share.write((0, 1, 0, 1), partition=2)) == refused
    assert told(share.write((0, 1, 0, 1), partition=-1)) == (ErrorCode.INVALID_REQUEST, NEGATIVE)
    assert told(share.of_unknown_topic().write()) == refused


def test_many_updates_make_a_snapshot(coordinated: Asker) -> None:
    """After share.coordinator.snapshot.update.records.per.snapshot of them; the state is the same."""
    share = ShareState(coordinated)
    share.initialize()
    for offset in range(510):
        assert share.write((offset, offset, ACKNOWLEDGED, 1 + offset % 2), complete=offset + 1).error_code == 0
    assert share.write(start_offset=507, complete=3).error_code == 0
    assert state(share.read()) == (0, 507, [(507, 507, 2, 2), (508, 508, 2, 1), (509, 509, 2, 2)])
    assert summed(share.summary()) == (0, 0, 507, 3)


def test_requests_that_ask_nothing(coordinated: Asker) -> None:
    share = ShareState(coordinated)
    share.initialize()
    row = WriteStateData(share.topic.id, [PartitionData(0, state_batches=[StateBatch(0, 1, 0, 1)])])
    empty = WriteStateData(share.topic.id, [])
    for group, topics in (("", [row]), (share.group, []), (share.group, [row, empty])):
        assert coordinated.ask(WriteShareGroupStateRequest(group, topics), 1).results == []
    assert batches(share.read()) == []
