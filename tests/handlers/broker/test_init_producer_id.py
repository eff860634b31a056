"""InitProducerId without transactions, as the real Kafka 4.3.1 answers it."""

from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from tests.handlers.broker.asker import Asker


def init(asker: Asker, version: int = 5, **fields: Any) -> tuple[int, int, int]:
    """(error, producer id, epoch); asks again while the broker waits for its controller, as clients do."""
    request = InitProducerIdRequest(**{"transactional_id": None, "transaction_timeout_ms": 60_000, **fields})
    for _ in range(10_000):
        response = asker.ask(request, version)
        if response.error_code != ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            return response.error_code, response.producer_id, response.producer_epoch
    raise TimeoutError


def test_no_id_is_given_twice(asker: Asker) -> None:
    given = [init(asker, version) for version in (0, 1, 2, 3, 4, 5) for _ in range(3)]
    assert all((error, epoch) == (0, 0) for error, _, epoch in given)
    assert len({producer_id for _, producer_id, _ in given}) == len(given)


@pytest.mark.parametrize("version", [3, 4, 5])
def test_an_idempotent_producer_gets_a_new_id_instead_of_an_epoch(asker: Asker, version: int) -> None:
    error, first, _ = init(asker)
    assert error == 0
    error, second, epoch = init(asker, version, producer_id=first, producer_epoch=2)
    assert (error, epoch) == (0, 0)
    assert second != first


@pytest.mark.parametrize("fields", [{"producer_id": 7}, {"producer_epoch": 7}, {"transactional_id": ""}])
def test_half_an_identity_is_refused(asker: Asker, fields: dict[str, Any]) -> None:
    assert init(asker, **fields) == (ErrorCode.INVALID_REQUEST, -1, -1)


def test_the_timeout_matters_only_to_transactions(asker: Asker) -> None:
    assert init(asker, transaction_timeout_ms=-5)[0] == 0
