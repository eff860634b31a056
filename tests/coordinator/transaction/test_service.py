"""What is common to all transaction APIs: checks, errors as clients hear them, producer ids that run out."""

from collections.abc import Awaitable, Callable

import pytest

from pykbroker.coordinator.transaction.service import Elsewhere
from pykbroker.coordinator.transaction.transaction_metadata import COMPLETE_COMMIT, NEVER_MS, ProducerIdentity
from pykbroker.errors import KafkaError
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.hashes import partition_for_id
from tests.coordinator.transaction.plays import ID, A, B, TransactionPlay, fail_append

NOBODY = ProducerIdentity(1, 0)


async def code_of(awaitable: Awaitable[object]) -> int:
    with pytest.raises(KafkaError) as caught:
        await awaitable
    return caught.value.code


async def test_a_transaction_is_complete_when_its_end_is_answered() -> None:
    play = TransactionPlay()
    service = play.service
    producer = await service.init_producer_id(ID, 1000, None)
    await service.add_partitions(ID, producer, [A], 2)
    assert service.missing_partitions(ID, producer, [A, B]) == {B}
    assert await service.end(ID, producer, commit=True, client_version=2) == (producer.producer_id, 1)
    assert service.describe(ID).state == COMPLETE_COMMIT
    assert [metadata.transactional_id for metadata in service.all()] == [ID]


async def test_producer_ids_are_fetched_when_there_are_none() -> None:
    play = TransactionPlay()
    play.numbers.stock = 0
    assert await play.service.init_producer_id(ID, 1000, None) == (100, 0)
    assert await play.service.init_producer_id("other", 1000, None) == (101, 0)
    assert play.numbers.reserved == 2


async def test_what_is_refused_at_once() -> None:
    service = TransactionPlay().service
    longest = 900_000
    assert await code_of(service.init_producer_id("", 1000, None)) == E.INVALID_REQUEST
    for timeout in (0, -1, longest + 1):
        assert await code_of(service.init_producer_id(ID, timeout, None)) == E.INVALID_TRANSACTION_TIMEOUT
    assert await service.init_producer_id(ID, longest, None)
    assert await code_of(service.add_partitions("", NOBODY, [A], 0)) == E.INVALID_REQUEST
    assert await code_of(service.end("", NOBODY, commit=True, client_version=0)) == E.INVALID_REQUEST
    for call in (lambda: service.describe(""), lambda: service.missing_partitions("", NOBODY, [A])):
        with pytest.raises(KafkaError) as caught:
            call()
        assert caught.value.code == E.INVALID_REQUEST
    with pytest.raises(KafkaError) as caught:
        service.describe("unknown")
    assert caught.value.code == E.TRANSACTIONAL_ID_NOT_FOUND


async def test_two_phase_commit_is_for_those_who_allow_it() -> None:
    """KIP-939, as far as 4.3.1 has it."""
    denied = TransactionPlay().service
    code = await code_of(denied.init_producer_id(ID, 0, None, enable_2pc=True))
    assert code == E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    assert await code_of(denied.init_producer_id(ID, 1, None, keep_prepared=True)) == E.UNSUPPORTED_VERSION
    play = TransactionPlay(transaction_two_phase_commit_enable=True)
    await play.service.init_producer_id(ID, 0, None, enable_2pc=True)
    assert play.state.timeout_ms == NEVER_MS


@pytest.mark.parametrize(
    ("code", "heard"),
    [
        (E.NOT_ENOUGH_REPLICAS, E.COORDINATOR_NOT_AVAILABLE),
        (E.NOT_LEADER_OR_FOLLOWER, E.NOT_COORDINATOR),
        (E.MESSAGE_TOO_LARGE, E.UNKNOWN_SERVER_ERROR),
    ],
)
async def test_errors_of_the_log(code: int, heard: int) -> None:
    play = TransactionPlay()
    play << fail_append(code)
    assert await code_of(play.service.init_producer_id(ID, 1000, None)) == heard


async def test_an_open_transaction_makes_a_new_producer_wait() -> None:
    service = TransactionPlay().service
    producer = await service.init_producer_id(ID, 1000, None)
    await service.add_partitions(ID, producer, [A], 2)
    assert await code_of(service.init_producer_id(ID, 1000, None)) == E.CONCURRENT_TRANSACTIONS
    assert await service.init_producer_id(ID, 1000, None) == (producer.producer_id, 2)


async def test_partitions_that_others_lead() -> None:
    play = TransactionPlay()
    play.service.on_resigned(0, None)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: play.service.init_producer_id(ID, 1000, None),
        lambda: play.service.add_partitions(ID, NOBODY, [A], 0),
        lambda: play.service.end(ID, NOBODY, commit=True, client_version=0),
    ]
    for call in calls:
        assert await code_of(call()) == E.NOT_COORDINATOR
    assert play.service.all() == []


@pytest.mark.parametrize("version", [0, 2])
async def test_who_is_admitted_here(version: int) -> None:
    play = TransactionPlay(version)
    service = play.service
    producer = await service.init_producer_id(ID, 1000, None)
    await service.add_partitions(ID, producer, [A], version)
    assert await service.admit(ID, producer, [A, B], adds=False) == {B: E.TRANSACTION_ABORTABLE}
    assert await service.admit(ID, producer, [A, B], adds=True) == {}
    assert await service.admit(ID, producer, [A, B], adds=False) == {}
    stranger = ProducerIdentity(producer.producer_id + 1, 0)
    assert await service.admit(ID, stranger, [A], adds=True) == {A: E.INVALID_PRODUCER_ID_MAPPING}
    service._topic_partitions = lambda: None
    assert await service.admit(ID, producer, [A], adds=False) == {A: E.COORDINATOR_NOT_AVAILABLE}


@pytest.mark.parametrize(
    ("leader", "code"), [(1, 0), (None, E.COORDINATOR_NOT_AVAILABLE), (-1, E.COORDINATOR_NOT_AVAILABLE), (2, None)]
)
async def test_who_is_asked(leader: int | None, code: int | None) -> None:
    """Broker 1 asks broker 2 by its AddPartitionsManager; markers go the same way."""
    play = TransactionPlay()
    service = play.service
    producer = await service.init_producer_id(ID, 1000, None)
    service._elsewhere = Elsewhere(1, lambda tp: leader if tp.topic == "__transaction_state" else None, Others)  # type: ignore[arg-type]
    expected = {} if code == 0 else {A: E.NETWORK_EXCEPTION if code is None else code}
    assert await service.admit(ID, producer, [A], adds=True) == expected


class Others:
    """Broker 2 is away."""

    @property
    def admissions(self) -> "Others":
        return self

    def ask(
        self, broker_id: int, _id: str, _producer: object, partitions: list[object], *, adds: bool
    ) -> Pending[object]:
        assert (broker_id, adds) == (2, True)
        pending: Pending[object] = Pending()
        pending.complete(dict.fromkeys(partitions, E.NETWORK_EXCEPTION))
        return pending


def test_ids_stay_where_they_are() -> None:
    """More partitions must not move them."""
    play = TransactionPlay()
    counts = [None, 7, 9]
    service = play.service
    service._topic_partitions = lambda: counts[0]
    service._partitions = None
    assert not service.has_coordinators
    assert service.partition_for(ID) == partition_for_id(ID, 50)
    counts.pop(0)
    assert service.has_coordinators
    assert service.partition_for(ID) == partition_for_id(ID, 7)
    counts.pop(0)
    assert service.partition_for(ID) == partition_for_id(ID, 7)
