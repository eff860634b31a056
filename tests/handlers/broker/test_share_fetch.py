"""ShareFetch, as the real Kafka 4.3.1 answers it. KIP-932, KIP-1206, KIP-1222."""

from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from pykbroker.record.batch import iterate_batches
from tests.handlers.broker.asker import Asker, batch, produce
from tests.handlers.cluster_asker import eventually
from tests.handlers.share_dialogue import (
    ACCEPT,
    GAP,
    LIMITED,
    REJECT,
    RELEASE,
    RENEW,
    Shared,
    acquired,
    codes,
    rows_of,
)

LOCK_MS = 30_000


@pytest.fixture
def shared(sharing: Asker) -> Shared:
    return Shared(sharing)


def fill(shared: Shared, *sizes: int, partition: int = 0) -> None:
    for size in sizes:
        assert produce(shared.asker, shared.topic, [(partition, batch(size))])[partition].error_code == 0


def stored(response: Any, partition: int = 0) -> list[tuple[int, int]]:
    """(first, last) offset of the batches in the answer."""
    data = rows_of(response)[partition].records
    return [(header.base_offset, header.last_offset) for header, _ in iterate_batches(bytes(data))]


@pytest.mark.parametrize("version", [1, 2])
def test_each_record_goes_to_one_member(shared: Shared, version: int) -> None:
    fill(shared, 3, 2)
    ann, bob = shared.member(), shared.member()
    response = eventually(lambda: ann.fetch(version=version), lambda answer: bool(acquired(answer)))
    assert acquired(response) == [(0, 4, 1)]
    assert stored(response) == [(0, 2), (3, 4)]
    assert response.acquisition_lock_timeout_ms == LOCK_MS
    assert acquired(bob.fetch(version=version, max_wait_ms=100)) == []
    fill(shared, 4)
    assert bob.take(version=version) == [(5, 8, 1)]


def test_whole_batches_are_given_and_no_more_than_needed(shared: Shared) -> None:
    fill(shared, 3, 3, 3)
    response = eventually(lambda: shared.member().fetch(max_records=4), lambda answer: bool(acquired(answer)))
    assert acquired(response) == [(0, 5, 1)]
    assert stored(response) == [(0, 2), (3, 5)]


def test_batch_size_groups_stored_batches(shared: Shared) -> None:
    fill(shared, 3, 3, 3, 3)
    assert shared.member().take(batch_size=5) == [(0, 5, 1), (6, 11, 1)]


def test_a_record_limit_is_kept(shared: Shared) -> None:
    fill(shared, 5, 5)
    ann, bob = shared.member(), shared.member()
    assert ann.take(max_records=3, share_acquire_mode=LIMITED) == [(0, 2, 1)]
    assert bob.take(max_records=4, share_acquire_mode=LIMITED) == [(3, 4, 1), (5, 6, 1)]
    assert bob.take(max_records=4, share_acquire_mode=LIMITED) == [(7, 9, 1)]


def test_results_move_the_start_offset(shared: Shared) -> None:
    fill(shared, 6)
    ann = shared.member()
    assert ann.take() == [(0, 5, 1)]
    kinds = [ACCEPT, REJECT, GAP, RELEASE, ACCEPT, ACCEPT]
    response = ann.fetch((0, 5, kinds), max_wait_ms=0)
    assert codes(response) == {0: (0, 0)}
    assert ann.take() == [(3, 3, 2)]
    assert codes(ann.fetch((3, 3, [ACCEPT]), max_wait_ms=0)) == {0: (0, 0)}
    fill(shared, 1)
    assert ann.take() == [(6, 6, 1)]


def test_a_topic_created_again_inherits_no_state(shared: Shared) -> None:
    """Scenario 31, kfake 1ef0614b: neither the start offset nor what was locked."""
    fill(shared, 4)
    ann = shared.member()
    assert ann.take() == [(0, 3, 1)]
    assert ann.acknowledged((0, 1, [ACCEPT])) == (0, None)
    shared.asker.delete(shared.topic)
    again = Shared(shared.asker, shared.asker.create(2, shared.topic.name), shared.group)
    fill(again, 3)
    assert again.member().take() == [(0, 2, 1)]
    assert again.state.summary().start_offset == 0


def test_what_is_released_too_often_is_archived(shared: Shared) -> None:
    fill(shared, 1)
    member = shared.member()
    for count in range(1, 6):
        assert member.take() == [(0, 0, count)]
        assert member.acknowledged((0, 0, [RELEASE])) == (0, None)
    assert acquired(member.fetch(max_wait_ms=100)) == []
    fill(shared, 1)
    assert member.take() == [(1, 1, 1)]


def test_records_that_failed_often_come_in_ever_smaller_parts(shared: Shared) -> None:
    fill(shared, 8)
    member = shared.member()
    sizes = []
    for _ in range(4):
        rows = member.take()
        sizes.append([(first, last, count) for first, last, count in rows])
        for first, last, _ in rows:
            assert member.acknowledged((first, last, [RELEASE])) == (0, None)
    assert sizes == [[(0, 7, 1)], [(0, 7, 2)], [(0, 7, 3)], [(0, 3, 4)]]
    assert member.take() == [(0, 0, 5)]


def test_a_closed_session_gives_back_what_it_had(shared: Shared) -> None:
    fill(shared, 4)
    ann, bob = shared.member(), shared.member()
    assert ann.take() == [(0, 3, 1)]
    response = ann.fetch((0, 1, [ACCEPT]), share_session_epoch=-1)
    assert codes(response) == {0: (0, 0)}
    assert bob.take() == [(2, 3, 2)]
    assert ann.fetch(share_session_epoch=ann.epoch).error_code == E.SHARE_SESSION_NOT_FOUND


def test_session_epochs(shared: Shared) -> None:
    ann = shared.member()
    assert ann.fetch(share_session_epoch=1).error_code == E.SHARE_SESSION_NOT_FOUND
    assert ann.fetch(share_session_epoch=-1).error_code == E.SHARE_SESSION_NOT_FOUND
    assert ann.fetch((0, 0, [ACCEPT])).error_code == E.INVALID_REQUEST
    assert ann.fetch(max_wait_ms=0).error_code == 0
    assert ann.fetch(share_session_epoch=5, max_wait_ms=0).error_code == E.INVALID_SHARE_SESSION_EPOCH
    assert ann.fetch(max_wait_ms=0).error_code == 0
    assert ann.fetch(share_session_epoch=1, max_wait_ms=0).error_code == E.INVALID_SHARE_SESSION_EPOCH
    assert ann.fetch(share_session_epoch=0, max_wait_ms=0).error_code == 0
    assert ann.fetch(share_session_epoch=1, max_wait_ms=0).error_code == 0


def test_groups_and_members_without_a_name(shared: Shared) -> None:
    ann = shared.member()
    for fields in ({"group_id": None}, {"member_id": ""}, {"member_id": None}, {"member_id": "x" * 37}):
        response = ann.fetch(**fields)
        assert (response.error_code, response.error_message) == (E.INVALID_REQUEST, None), fields
    assert ann.fetch(member_id="x" * 36, max_wait_ms=0).error_code == 0


def test_unknown_partitions(shared: Shared) -> None:
    member = shared.member()
    assert codes(member.fetch(partitions=[7])) == {7: (E.UNKNOWN_TOPIC_OR_PARTITION, 0)}
    assert codes(member.fetch()) == {7: (E.UNKNOWN_TOPIC_OR_PARTITION, 0)}
    assert codes(member.fetch(forget=[7])) == {}


@pytest.mark.parametrize(
    "field",
    [{"max_bytes": 1}, {"min_bytes": 1}, {"max_records": 1}, {"max_wait_ms": 1}],
    ids=lambda field: next(iter(field)),
)
def test_a_renewal_fetches_nothing(shared: Shared, field: dict[str, int]) -> None:
    nothing = {"max_bytes": 0, "min_bytes": 0, "max_records": 0, "max_wait_ms": 0, "is_renew_ack": True}
    fill(shared, 2, 2)
    ann = shared.member()
    assert ann.take(max_records=1) == [(0, 1, 1)]
    assert ann.fetch((0, 1, [RENEW]), **{**nothing, **field}).error_code == E.INVALID_REQUEST
    response = ann.fetch((0, 1, [RENEW]), **nothing)
    assert codes(response) == {0: (0, 0)}
    assert acquired(response) == []


def test_renewals_without_the_flag_are_refused(shared: Shared) -> None:
    fill(shared, 2)
    ann = shared.member()
    assert ann.take() == [(0, 1, 1)]
    assert codes(ann.fetch((0, 1, [RENEW]), max_wait_ms=0)) == {0: (0, E.INVALID_REQUEST)}
    assert codes(ann.fetch((0, 1, [RENEW]), max_wait_ms=0, version=1)) == {0: (0, E.INVALID_REQUEST)}


def test_an_unknown_acquire_mode(shared: Shared) -> None:
    assert shared.member().fetch(share_acquire_mode=2).error_code == E.UNKNOWN_SERVER_ERROR


def test_limits_of_nothing(shared: Shared) -> None:
    fill(shared, 2)
    for fields in ({"max_records": 0}, {"max_bytes": 0}):
        assert acquired(shared.member().fetch(**fields)) == []
    assert codes(shared.member().fetch(max_bytes=-1)) in ({0: (E.UNKNOWN_SERVER_ERROR, 0)}, {})
    assert shared.member().take() == [(0, 1, 1)]


def test_min_bytes_are_waited_for(shared: Shared) -> None:
    fill(shared, 1)
    ann = shared.member()
    assert ann.take(min_bytes=100_000, max_wait_ms=300) == [(0, 0, 1)]


def test_deleted_records_are_passed_over(shared: Shared) -> None:
    fill(shared, 4, 4)
    ann = shared.member()
    topics = [DeleteRecordsTopic(shared.topic.name, [DeleteRecordsPartition(0, 6)])]
    (topic,) = shared.asker.ask(DeleteRecordsRequest(topics=topics, timeout_ms=5000), 2).topics
    assert topic.partitions[0].error_code == 0
    assert ann.take() == [(6, 7, 1)]


def test_a_new_group_begins_at_the_end(shared: Shared) -> None:
    fill(shared, 3, partition=1)
    ann = shared.member()
    refused = eventually(lambda: ann.fetch(partitions=[1], max_wait_ms=100), lambda answer: codes(answer) != {})
    assert codes(refused) == {1: (E.UNKNOWN_SERVER_ERROR, 0)}  # the group coordinator has not initialized it
    assert shared.state.initialize(1, start_offset=-1).error_code == 0
    eventually(lambda: ann.fetch(max_wait_ms=100), lambda answer: codes(answer) in ({}, {1: (0, 0)}))
    assert acquired(ann.fetch(max_wait_ms=300), 1) == []
    fill(shared, 2, partition=1)
    response = eventually(ann.fetch, lambda answer: bool(acquired(answer, 1)))
    assert acquired(response, 1) == [(3, 4, 1)]
