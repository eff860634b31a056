"""InitProducerId of transactional ids, as the real Kafka 4.3.1 answers it. KIP-360."""

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import unique
from tests.handlers.transaction_dialogue import TransactionalProducer, begun, stable_offsets

OLD = 4


def test_every_start_has_an_epoch_of_its_own(coordinated: Asker) -> None:
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    assert epoch == 0
    for expected in (1, 2, 3):
        assert producer.init() == 0
        assert producer.identity == (producer_id, expected)
    row = producer.described()
    assert (row.transaction_state, row.transaction_start_time_ms, row.topics) == ("Empty", -1, [])


@pytest.mark.parametrize("version", range(6))
def test_all_versions(coordinated: Asker, version: int) -> None:
    producer = begun(coordinated, version=version)
    assert producer.identity[1] == 0


def test_a_producer_that_goes_on_tells_who_it_is(coordinated: Asker) -> None:
    producer = begun(coordinated)
    producer_id, epoch = first = producer.identity
    assert producer.init(expected=first) == 0
    assert producer.identity == (producer_id, epoch + 1)
    # A retry: the answer was lost.
    assert producer.init(expected=first) == 0
    assert producer.identity == (producer_id, epoch + 1)
    assert producer.init(expected=producer.identity) == 0
    assert producer.identity == (producer_id, epoch + 2)
    assert producer.try_init(expected=first) == ErrorCode.PRODUCER_FENCED
    assert producer.try_init(version=3, expected=first) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert producer.try_init(expected=(producer_id + 1000, 2)) == ErrorCode.PRODUCER_FENCED


def test_a_new_producer_fences_the_one_before(coordinated: Asker) -> None:
    zombie = begun(coordinated)
    identity = zombie.identity
    assert begun(coordinated, zombie.id).identity == (identity[0], identity[1] + 1)
    assert zombie.try_init(expected=identity) == ErrorCode.PRODUCER_FENCED


def test_an_identity_for_an_id_that_nobody_knows(coordinated: Asker) -> None:
    """It was forgotten: the producer gets a fresh one instead of an error."""
    producer = TransactionalProducer(coordinated)
    assert producer.init(expected=(10**6, 5)) == 0
    assert producer.identity[0] != 10**6
    assert producer.identity[1] == 0


@pytest.mark.parametrize("new_client", [False, True])
def test_an_open_transaction_is_aborted_first(coordinated: Asker, new_client: bool) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    if not new_client:
        assert producer.add(topic) == 0
    assert producer.produce(topic, version=12 if new_client else 11).error_code == 0
    assert producer.try_init() == ErrorCode.CONCURRENT_TRANSACTIONS
    row = producer.at_rest()
    assert (row.transaction_state, row.producer_epoch) == ("CompleteAbort", epoch + 1)
    assert producer.init() == 0
    assert producer.identity == (producer_id, epoch + 2)
    assert stable_offsets(coordinated, topic) == (2, 2, [(producer_id, 0)])


def test_an_open_transaction_of_one_that_tells_who_it_is(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    producer_id, epoch = first = producer.identity
    assert producer.produce(topic).error_code == 0
    assert producer.try_init(expected=(producer_id, epoch + 1)) == ErrorCode.CONCURRENT_TRANSACTIONS
    producer.at_rest()
    assert producer.init(expected=first) == 0
    assert producer.identity == (producer_id, epoch + 1)


def test_the_end_of_one_who_was_fenced(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    zombie = begun(coordinated)
    identity = zombie.identity
    assert zombie.produce(topic).error_code == 0
    heir = begun(coordinated, zombie.id)
    assert heir.identity == (identity[0], identity[1] + 2)
    assert zombie.try_end(True, identity=identity) == ErrorCode.PRODUCER_FENCED
    assert zombie.try_end(True, OLD, identity=identity) == ErrorCode.PRODUCER_FENCED
    assert zombie.produce(topic, sequence=1).error_code == ErrorCode.INVALID_PRODUCER_EPOCH
    assert zombie.try_add(topic) == ErrorCode.PRODUCER_FENCED


@pytest.mark.parametrize("timeout_ms", [0, -1, 900_001])
def test_absurd_timeouts(coordinated: Asker, timeout_ms: int) -> None:
    producer = TransactionalProducer(coordinated)
    assert producer.try_init(timeout_ms=timeout_ms) == ErrorCode.INVALID_TRANSACTION_TIMEOUT


def test_half_an_identity(coordinated: Asker) -> None:
    producer = begun(coordinated)
    assert producer.try_init(expected=(producer.identity[0], -1)) == ErrorCode.INVALID_REQUEST
    assert producer.try_init(expected=(-1, 0)) == ErrorCode.INVALID_REQUEST


def test_the_longest_timeout_counts_from_the_latest_start(coordinated: Asker) -> None:
    producer = begun(coordinated, timeout_ms=900_000)
    assert producer.init(timeout_ms=1) == 0
    assert producer.described().transaction_timeout_ms == 1


def test_ids_of_any_kind(coordinated: Asker) -> None:
    for name in ("ünïcødé 💥", "x" * 249, "y" * 32_000, " ", "a/b\\c\0d"):
        producer = TransactionalProducer(coordinated, unique(name))
        assert producer.init() == 0
        assert producer.described().transaction_state == "Empty"
