"""EndTxn, as the real Kafka 4.3.1 answers it. Scenarios 12, 13, 16, 17."""

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from tests.handlers.broker.asker import Asker
from tests.handlers.transaction_dialogue import begun, stable_offsets

OLD, NEW = 4, 5


@pytest.mark.parametrize("commit", [True, False])
def test_a_transaction_ends_as_decided(coordinated: Asker, commit: bool) -> None:
    """redpanda#13364 (scenario 17): a marker takes exactly one offset."""
    topic = coordinated.create(1)
    producer = begun(coordinated)
    producer_id = producer.identity[0]
    assert producer.produce(topic).error_code == 0
    assert producer.produce(topic, sequence=1).error_code == 0
    assert stable_offsets(coordinated, topic)[:2] == (2, 0)
    assert producer.end(commit) == 0
    assert producer.identity == (producer_id, 1)
    assert producer.at_rest().transaction_state == ("CompleteCommit" if commit else "CompleteAbort")
    assert stable_offsets(coordinated, topic) == (3, 3, [] if commit else [(producer_id, 0)])


@pytest.mark.parametrize("version", range(OLD + 1))
def test_old_clients_keep_their_epoch(coordinated: Asker, version: int) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    for _ in range(2):
        assert producer.add(topic) == 0
        assert producer.end(True, version) == 0
        assert producer.at_rest().producer_epoch == 0


def test_a_retry_of_new_clients_is_told_the_same(coordinated: Asker) -> None:
    """franz-go#928 (scenario 16): the answer was lost, the epoch is bumped already."""
    topic = coordinated.create(1)
    producer = begun(coordinated)
    before = producer.identity
    assert producer.produce(topic).error_code == 0
    assert producer.end(True) == 0
    after = producer.identity
    producer.at_rest()
    for _ in range(2):
        assert producer.end(True, identity=before) == 0
        assert producer.identity == after
    assert producer.try_end(False, identity=before) == ErrorCode.INVALID_TXN_STATE
    assert producer.at_rest().producer_epoch == after[1]


def test_a_delayed_end_does_not_end_the_next_transaction(coordinated: Asker) -> None:
    """Jepsen on Bufstream, KIP-890 (scenario 13)."""
    topic = coordinated.create(1)
    producer = begun(coordinated)
    before = producer.identity
    assert producer.produce(topic).error_code == 0
    assert producer.end(True) == 0
    producer.at_rest()
    assert producer.produce(topic).error_code == 0
    for commit in (True, False):
        assert producer.try_end(commit, identity=before) == ErrorCode.PRODUCER_FENCED
        assert producer.try_end(commit, OLD, identity=before) == ErrorCode.PRODUCER_FENCED
    assert producer.described().transaction_state == "Ongoing"


def test_a_delayed_end_of_an_old_client_does(coordinated: Asker) -> None:
    """What KIP-890 is for: without an epoch for each transaction nobody can tell (scenario 13)."""
    topic = coordinated.create(1)
    producer = begun(coordinated)
    assert producer.add(topic) == 0
    assert producer.end(True, OLD) == 0
    producer.at_rest()
    assert producer.add(topic) == 0
    assert producer.try_end(True, OLD) == 0


def test_without_a_transaction(coordinated: Asker) -> None:
    producer = begun(coordinated)
    for commit in (True, False):
        assert producer.try_end(commit, OLD) == ErrorCode.INVALID_TXN_STATE
    assert producer.try_end(True, NEW) == ErrorCode.INVALID_TXN_STATE
    assert producer.described().transaction_state == "Empty"
    # An abort of a new client bumps the epoch even so.
    producer_id, epoch = producer.identity
    assert producer.try_end(False, NEW) == 0
    assert producer.identity == (producer_id, epoch + 1)
    assert producer.at_rest().transaction_state == "CompleteAbort"
    assert producer.end(False, NEW) == 0
    assert producer.identity == (producer_id, epoch + 2)
    producer.at_rest()
    assert producer.try_end(True, NEW) == ErrorCode.INVALID_TXN_STATE


def test_old_clients_may_repeat_themselves(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    assert producer.add(topic) == 0
    assert producer.end(False, OLD) == 0
    producer.at_rest()
    assert producer.try_end(False, OLD) == 0
    assert producer.try_end(True, OLD) == ErrorCode.INVALID_TXN_STATE


@pytest.mark.parametrize("version", range(NEW + 1))
def test_strangers(coordinated: Asker, version: int) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    assert producer.add(topic) == 0
    fenced = ErrorCode.PRODUCER_FENCED if version >= 2 else ErrorCode.INVALID_PRODUCER_EPOCH
    assert (
        producer.try_end(True, version, identity=(producer_id + 1000, epoch)) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    )
    assert producer.try_end(True, version, identity=(producer_id, epoch + 1)) == fenced
    producer.id += "-of-nobody"
    assert producer.try_end(True, version) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    producer.id = ""
    assert producer.try_end(True, version) == ErrorCode.INVALID_REQUEST
