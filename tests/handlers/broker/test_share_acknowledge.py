"""ShareAcknowledge, as the real Kafka 4.3.1 answers it. KIP-932, KIP-1222."""

import pytest

from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.handlers.broker.asker import Asker, Topic, batch, produce
from tests.handlers.share_dialogue import ACCEPT, REJECT, RELEASE, RENEW, Shared
from tests.handlers.share_state_dialogue import summed

OK = (0, None)
NOT_OWNER = (E.INVALID_RECORD_STATE, "Member is not the owner of batch record")
NOT_ACQUIRED = (
    E.INVALID_RECORD_STATE,
    "The batch cannot be acknowledged. The batch is not in the acquired state.",
)
PAST_FIRST = (E.INVALID_REQUEST, "Batch record not found. The first offset in request is past acquired records.")
PAST_LAST = (E.INVALID_REQUEST, "Batch record not found. The last offset in request is past acquired records.")


@pytest.fixture
def shared(sharing: Asker) -> Shared:
    shared = Shared(sharing)
    for size in (3, 3):
        assert produce(sharing, shared.topic, [(0, batch(size))])[0].error_code == 0
    return shared


def test_accepted_records_are_done(shared: Shared) -> None:
    ann = shared.member()
    assert ann.take() == [(0, 5, 1)]
    response = ann.acknowledge((0, 5, [ACCEPT]))
    assert (response.error_code, response.acquisition_lock_timeout_ms) == (0, 30_000)
    assert [row.error_code for row in response.responses[0].partitions] == [0]
    assert summed(shared.state.summary()) == (0, 0, 0, 6)
    assert ann.acknowledged((0, 5, [ACCEPT])) == OK  # before the start offset by now


def test_parts_of_a_batch(shared: Shared) -> None:
    ann, bob = shared.member(), shared.member()
    assert ann.take() == [(0, 5, 1)]
    assert ann.acknowledged((1, 2, [ACCEPT]), (4, 4, [RELEASE])) == OK
    assert ann.acknowledged((1, 2, [ACCEPT])) == (
        E.INVALID_RECORD_STATE,
        "The offset cannot be acknowledged. The offset is not acquired.",
    )
    assert bob.take() == [(4, 4, 2)]
    assert ann.acknowledged((3, 5, [ACCEPT]))[0] == E.INVALID_RECORD_STATE
    assert bob.acknowledged((4, 4, [ACCEPT])) == OK
    assert ann.acknowledged((3, 3, [ACCEPT]), (5, 5, [REJECT]), (0, 0, [ACCEPT]))[0] == E.INVALID_REQUEST
    assert ann.acknowledged((0, 0, [ACCEPT]), (3, 3, [ACCEPT]), (5, 5, [REJECT])) == OK


def test_strangers(shared: Shared) -> None:
    ann, bob = shared.member(), shared.member()
    assert bob.fetch(max_wait_ms=0).error_code == 0
    assert ann.take() == [(0, 5, 1)]
    assert bob.acknowledged((0, 5, [ACCEPT])) == NOT_OWNER
    assert ann.acknowledged((6, 7, [ACCEPT])) == PAST_FIRST
    assert ann.acknowledged((4, 7, [ACCEPT])) == PAST_LAST
    assert ann.acknowledged((0, 5, [RELEASE])) == OK
    assert ann.acknowledged((0, 5, [ACCEPT])) == NOT_ACQUIRED


def test_nothing_was_acquired(shared: Shared) -> None:
    ann = shared.member()
    assert ann.fetch(partitions=[1], max_wait_ms=500).error_code == 0
    code, _ = ann.acknowledged((0, 5, [ACCEPT]))
    assert code == E.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize(
    "acks",
    [
        [(5, 0, [ACCEPT])],
        [(3, 5, [ACCEPT]), (0, 2, [ACCEPT])],
        [(0, 5, [])],
        [(0, 5, [ACCEPT, ACCEPT])],
        [(0, 5, [5])],
        [(0, 5, [-1])],
        [(0, 5, [RENEW])],
    ],
    ids=str,
)
def test_acknowledgements_that_make_no_sense(shared: Shared, acks: list[tuple[int, int, list[int]]]) -> None:
    ann = shared.member()
    assert ann.take() == [(0, 5, 1)]
    assert ann.acknowledged(*acks) == (E.INVALID_REQUEST, None)
    assert ann.acknowledged((0, 5, [ACCEPT])) == OK


def test_renewed_records_stay(shared: Shared) -> None:
    ann = shared.member()
    assert ann.take() == [(0, 5, 1)]
    assert ann.acknowledged((0, 5, [RENEW]), is_renew_ack=True) == OK
    assert ann.acknowledged((0, 1, [RENEW]), (2, 5, [ACCEPT]), is_renew_ack=True) == OK
    assert ann.acknowledged((0, 1, [ACCEPT])) == OK


def test_sessions(shared: Shared) -> None:
    ann = shared.member()
    assert ann.acknowledge((0, 0, [ACCEPT])).error_code == E.INVALID_SHARE_SESSION_EPOCH
    ann.epoch = 1
    assert ann.acknowledge((0, 0, [ACCEPT])).error_code == E.SHARE_SESSION_NOT_FOUND
    ann.epoch = 0
    assert ann.take() == [(0, 5, 1)]
    response = ann.acknowledge((0, 0, [ACCEPT]), share_session_epoch=99)
    assert (response.error_code, response.error_message) == (E.INVALID_SHARE_SESSION_EPOCH, None)
    assert ann.acknowledge((0, 2, [ACCEPT]), share_session_epoch=-1).error_code == 0
    assert ann.acknowledge((3, 5, [ACCEPT])).error_code == E.SHARE_SESSION_NOT_FOUND
    assert shared.member().take() == [(3, 5, 2)]


def test_groups_and_members_without_a_name(shared: Shared) -> None:
    for fields in ({"group_id": None}, {"member_id": ""}, {"member_id": None}, {"member_id": "x" * 37}):
        assert shared.member().acknowledge((0, 0, [ACCEPT]), **fields).error_code == E.INVALID_REQUEST


def test_unknown_topics(shared: Shared) -> None:
    ann = shared.member()
    assert ann.take() == [(0, 5, 1)]
    stranger = Topic("no such topic", Uuid.random())
    assert ann.acknowledged((0, 5, [ACCEPT]), topic=stranger) == (E.UNKNOWN_TOPIC_ID, None)
