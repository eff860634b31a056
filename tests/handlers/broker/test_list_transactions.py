"""ListTransactions, as the real Kafka 4.3.1 answers it. KIP-664, KIP-994, KIP-1152."""

from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.list_transactions import ListTransactionsRequest
from tests.handlers.broker.asker import Asker
from tests.handlers.transaction_dialogue import begun, unique


def listed(asker: Asker, version: int = 2, **fields: Any) -> dict[str, tuple[int, str]]:
    response = asker.ask(ListTransactionsRequest(**fields), version)
    assert response.error_code == 0
    return {row.transactional_id: (row.producer_id, row.transaction_state) for row in response.transaction_states}


@pytest.mark.parametrize("version", [0, 1, 2])
def test_filters(coordinated: Asker, version: int) -> None:
    topic = coordinated.create(1)
    open_one, fresh = begun(coordinated), begun(coordinated)
    assert open_one.produce(topic).error_code == 0
    ids = {open_one.id, fresh.id}
    everything = listed(coordinated, version)
    assert everything[open_one.id] == (open_one.identity[0], "Ongoing")
    assert everything[fresh.id] == (fresh.identity[0], "Empty")
    assert ids & set(listed(coordinated, version, state_filters=["Ongoing"])) == {open_one.id}
    assert ids & set(listed(coordinated, version, state_filters=["Ongoing", "Empty"])) == ids
    assert set(listed(coordinated, version, producer_id_filters=[fresh.identity[0]])) == {fresh.id}
    assert not ids & set(listed(coordinated, version, state_filters=["ongoing"]))


def test_states_that_there_are_not(coordinated: Asker) -> None:
    begun(coordinated)
    asked = ["Ongoing", "Sleeping", "PrepareEpochFence", "Dead", "empty"]
    response = coordinated.ask(ListTransactionsRequest(state_filters=asked), 2)
    assert sorted(response.unknown_state_filters) == ["Sleeping", "empty"]
    assert coordinated.ask(ListTransactionsRequest(state_filters=["Sleeping"]), 2).transaction_states == []


def test_how_long_it_has_been_open(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    assert producer.produce(topic).error_code == 0
    assert producer.id not in listed(coordinated, duration_filter=3_600_000)
    assert producer.id in listed(coordinated, duration_filter=-1)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("", True),
        ("{id}", True),
        ("{id}.*", True),
        ("{part}", False),
        (".*{tail}", True),
        ("(?i)TX-[0-9a-f]+", True),
        ("TX-[0-9a-f]+", False),
        (r"tx-[[:xdigit:]]{{8}}", True),
        (r"^tx-\w+$", True),
        ("other|tx-.*", True),
        (r"\Qtx-\E.+", True),
        ("tx-.{{0,7}}", False),
    ],
)
def test_patterns(coordinated: Asker, pattern: str, matches: bool) -> None:
    producer = begun(coordinated)
    pattern = pattern.format(id=producer.id, part=producer.id[1:-1], tail=producer.id[-3:])
    assert (producer.id in listed(coordinated, transactional_id_pattern=pattern)) == matches


@pytest.mark.parametrize("pattern", ["(", "*", "[b-a]", "x{2000}", "(?=a)", r"\1", "a**"])
def test_patterns_that_are_none(coordinated: Asker, pattern: str) -> None:
    begun(coordinated, unique("tx"))
    response = coordinated.ask(ListTransactionsRequest(transactional_id_pattern=pattern), 2)
    assert (response.error_code, response.transaction_states) == (ErrorCode.INVALID_REGULAR_EXPRESSION, [])
