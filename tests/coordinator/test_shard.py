"""Outcome: what an operation decides starts as nothing, and shares nothing with another."""

from pykbroker.coordinator.shard import CoordinatorRecord, Outcome
from pykbroker.protocol.persisted.group.group_metadata import GroupMetadataKey


def test_an_outcome_is_atomic_and_replayed_unless_it_says_otherwise() -> None:
    outcome = Outcome("answer")
    assert (outcome.response, outcome.records, outcome.replies) == ("answer", [], [])
    assert outcome.atomic
    assert outcome.replay
    assert outcome.on_committed is None
    assert outcome.on_failed is None


def test_outcomes_do_not_share_their_records() -> None:
    first: Outcome[None] = Outcome()
    first.records.append(CoordinatorRecord(GroupMetadataKey(group="g"), None))
    assert Outcome[None]().records == []


def test_a_record_without_value_is_a_tombstone_of_version_0() -> None:
    record = CoordinatorRecord(GroupMetadataKey(group="g"), None)
    assert (record.value, record.version) == (None, 0)


def test_replies_keep_their_order() -> None:
    class Reply:
        def try_complete(self, value: object) -> bool:
            return True

    first, second = Reply(), Reply()
    outcome: Outcome[None] = Outcome()
    outcome.reply(first, 1)
    outcome.reply(second, 2)
    assert outcome.replies == [(first, 1), (second, 2)]
