"""Two-phase commit as far as 4.3.1 has it (KIP-939): InitProducerId 6 is unstable, so only a broker that is told so
speaks it; a transaction may be without end; keeping a prepared one is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from compat_tests.disk.handover import asking
from compat_tests.disk.restartable import restartable
from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from pykbroker.protocol.messages.list_transactions import ListTransactionsRequest
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import eventually
from tests.handlers.transaction_dialogue import LATER, TransactionalProducer, begun, stable_offsets

UNSTABLE, STABLE = 6, 5
NEVER_MS = 2**31 - 1
MAX_TIMEOUT_MS = 60_000
SETTINGS = {
    "unstable.api.versions.enable": "true",
    "transaction.max.timeout.ms": str(MAX_TIMEOUT_MS),
    "transaction.state.log.num.partitions": "2",
    "offsets.topic.num.partitions": "2",
}


@contextmanager
def _broker(request: pytest.FixtureRequest, folder: Path, allowed: str) -> Iterator[Asker]:
    settings = {**SETTINGS, "transaction.two.phase.commit.enable": allowed}
    with restartable(request, folder, settings) as broker, asking(broker.bootstrap) as asker:
        yield asker


@pytest.fixture(scope="module")
def denying(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    with _broker(request, tmp_path_factory.mktemp("denying"), "false") as asker:
        yield asker


@pytest.fixture(scope="module")
def allowing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    with _broker(request, tmp_path_factory.mktemp("allowing"), "true") as asker:
        yield asker


def init(producer: TransactionalProducer, version: int = UNSTABLE, **fields: Any) -> int:
    """The code, once nothing is on its way any more; takes over the identity."""
    return int(eventually(lambda: _init(producer, version, fields), lambda code: code not in LATER))


def _init(producer: TransactionalProducer, version: int, fields: dict[str, Any]) -> int:
    values = {"transactional_id": producer.id, "transaction_timeout_ms": 1000, **fields}
    response = producer.asker.ask(InitProducerIdRequest(**values), version)
    assert (response.ongoing_txn_producer_id, response.ongoing_txn_producer_epoch) == (-1, -1)
    if response.error_code == 0:
        producer.identity = (response.producer_id, response.producer_epoch)
    else:
        assert (response.producer_id, response.producer_epoch) == (-1, -1)
    return int(response.error_code)


def test_a_broker_that_is_not_told_so_does_not_know_the_version(asker: SocketAsker) -> None:
    assert asker.is_refused(InitProducerIdRequest(transactional_id="t", transaction_timeout_ms=1000), UNSTABLE)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, E.NONE),
        ({"enable2_pc": True}, E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        ({"enable2_pc": True, "keep_prepared_txn": True}, E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        ({"enable2_pc": True, "transaction_timeout_ms": 0}, E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        ({"keep_prepared_txn": True}, E.UNSUPPORTED_VERSION),
        ({"keep_prepared_txn": True, "transaction_timeout_ms": 0}, E.UNSUPPORTED_VERSION),
        ({"transaction_timeout_ms": NEVER_MS}, E.INVALID_TRANSACTION_TIMEOUT),
        ({"enable2_pc": True, "transactional_id": ""}, E.INVALID_REQUEST),
        ({"enable2_pc": True, "producer_id": 7}, E.INVALID_REQUEST),
        # Nobody's transaction.
        ({"enable2_pc": True, "keep_prepared_txn": True, "transactional_id": None}, E.NONE),
    ],
)
def test_where_it_is_not_allowed(denying: Asker, fields: dict[str, Any], code: E) -> None:
    assert init(TransactionalProducer(denying), **fields) == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"enable2_pc": True, "keep_prepared_txn": True}, E.UNSUPPORTED_VERSION),
        ({"keep_prepared_txn": True, "transaction_timeout_ms": 0}, E.UNSUPPORTED_VERSION),
        ({"transaction_timeout_ms": 0}, E.INVALID_TRANSACTION_TIMEOUT),
        ({"transaction_timeout_ms": MAX_TIMEOUT_MS + 1}, E.INVALID_TRANSACTION_TIMEOUT),
        ({"enable2_pc": True, "transactional_id": ""}, E.INVALID_REQUEST),
        ({"enable2_pc": True, "producer_epoch": 7}, E.INVALID_REQUEST),
        ({"enable2_pc": True, "keep_prepared_txn": True, "transactional_id": None}, E.NONE),
    ],
)
def test_where_it_is_allowed(allowing: Asker, fields: dict[str, Any], code: E) -> None:
    assert init(TransactionalProducer(allowing), **fields) == code


@pytest.mark.parametrize("timeout_ms", [1000, 0, -5, NEVER_MS, -(2**31)])
def test_no_timeout_counts(allowing: Asker, timeout_ms: int) -> None:
    producer = TransactionalProducer(allowing)
    assert init(producer, enable2_pc=True, transaction_timeout_ms=timeout_ms) == 0
    assert producer.described().transaction_timeout_ms == NEVER_MS


def test_the_next_producer_may_do_without(allowing: Asker) -> None:
    producer = TransactionalProducer(allowing)
    assert init(producer, enable2_pc=True) == 0
    first = producer.identity
    assert init(producer, STABLE) == 0
    assert producer.identity == (first[0], first[1] + 1)
    assert producer.described().transaction_timeout_ms == 1000


@pytest.mark.parametrize("commit", [True, False])
def test_a_transaction_without_end_ends_as_any(allowing: Asker, commit: bool) -> None:
    topic = allowing.create(1)
    producer = TransactionalProducer(allowing)
    assert init(producer, enable2_pc=True) == 0
    first = producer.identity
    assert producer.produce(topic).error_code == 0
    row = producer.described()
    assert (row.transaction_state, row.transaction_timeout_ms) == ("Ongoing", NEVER_MS)
    listed = allowing.ask(ListTransactionsRequest(state_filters=["Ongoing", "PrepareCommit"]), 0).transaction_states
    assert producer.id in {row.transactional_id for row in listed}
    assert producer.end(commit) == 0
    assert producer.identity == (first[0], first[1] + 1)
    row = producer.ended()
    assert (row.transaction_state, row.transaction_timeout_ms) == (
        "CompleteCommit" if commit else "CompleteAbort",
        NEVER_MS,
    )
    assert stable_offsets(allowing, topic) == (2, 2, [] if commit else [(first[0], 0)])


def test_what_is_refused_leaves_the_transaction_alone(allowing: Asker) -> None:
    """KeepPreparedTxn is for the producer that comes back: it hears that it cannot, and may still abort or commit."""
    topic = allowing.create(1)
    producer = TransactionalProducer(allowing)
    assert init(producer, enable2_pc=True) == 0
    assert producer.produce(topic).error_code == 0
    identity = producer.identity
    assert init(producer, enable2_pc=True, keep_prepared_txn=True) == E.UNSUPPORTED_VERSION
    row = producer.described()
    assert (row.transaction_state, row.producer_id, row.producer_epoch) == ("Ongoing", *identity)
    assert producer.end(commit=True) == 0
    producer.ended()
    assert stable_offsets(allowing, topic) == (2, 2, [])


def test_a_new_producer_aborts_what_was_open(allowing: Asker) -> None:
    topic = allowing.create(1)
    zombie = TransactionalProducer(allowing)
    assert init(zombie, enable2_pc=True) == 0
    assert zombie.produce(topic).error_code == 0
    producer = TransactionalProducer(allowing, zombie.id)
    assert init(producer, enable2_pc=True) == 0
    assert producer.identity == (zombie.identity[0], zombie.identity[1] + 2)
    assert zombie.end(commit=True) == E.PRODUCER_FENCED
    assert stable_offsets(allowing, topic) == (2, 2, [(zombie.identity[0], 0)])


def test_the_stable_versions_know_nothing_of_it(allowing: Asker) -> None:
    producer = begun(allowing, version=STABLE, timeout_ms=MAX_TIMEOUT_MS)
    assert producer.described().transaction_timeout_ms == MAX_TIMEOUT_MS
