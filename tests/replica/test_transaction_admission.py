"""Whom the coordinator is asked about, in what way, and how its errors are told. KIP-890."""

from collections.abc import Collection, Mapping

import pytest
from trio.testing import MockClock

from pykbroker.coordinator.transaction.transaction_metadata import ProducerIdentity
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.replica.transaction_admission import (
    FULL,
    Admissions,
    Support,
    produce_support,
    txn_offset_commit_support,
)
from tests.replica.stand import Stand

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
VERIFIES, OLD = Support(False, True), Support(False, False)


class Coordinator:
    """Knows `inside`; answers `errors` first, about all partitions."""

    def __init__(self, *errors: int, inside: Collection[TopicPartition] = ()) -> None:
        self.errors = list(errors)
        self.inside = set(inside)
        self.added: list[list[TopicPartition]] = []
        self.asked = 0

    async def admit(
        self, transactional_id: str, producer: ProducerIdentity, partitions: Collection[TopicPartition], *, adds: bool
    ) -> Mapping[TopicPartition, int]:
        self.asked += 1
        if self.errors:
            return dict.fromkeys(partitions, self.errors.pop(0))
        if adds:
            self.added.append(list(partitions))
            return {}
        return dict.fromkeys(set(partitions) - self.inside, E.TRANSACTION_ABORTABLE)


def admissions(stand: Stand, coordinator: Coordinator, support: Support, retries: int = 0) -> Admissions:
    stand.create("t", 2)
    producer = ProducerIdentity(7, 0)
    return Admissions(stand.replicas, coordinator, stand.config, stand.clock, "tx", producer, support, retries)


@pytest.mark.parametrize(("version", "support"), [(3, OLD), (10, OLD), (11, VERIFIES), (12, FULL), (13, FULL)])
def test_what_producers_know(version: int, support: Support) -> None:
    assert produce_support(version) == support


@pytest.mark.parametrize(("version", "support"), [(0, OLD), (3, OLD), (4, VERIFIES), (5, FULL)])
def test_what_committers_know(version: int, support: Support) -> None:
    assert txn_offset_commit_support(version) == support


async def test_new_clients_have_their_partitions_added(stand: Stand) -> None:
    coordinator = Coordinator()
    found = await admissions(stand, coordinator, FULL).of({T0: 0, T1: 0})
    assert coordinator.added == [[T0, T1]]
    assert all(each.error == 0 and each.guard is not None for each in found.values())


@pytest.mark.parametrize(("support", "code"), [(VERIFIES, E.TRANSACTION_ABORTABLE), (OLD, E.INVALID_TXN_STATE)])
async def test_old_clients_must_have_added_them(stand: Stand, support: Support, code: int) -> None:
    coordinator = Coordinator(inside=[T1])
    found = await admissions(stand, coordinator, support).of({T0: 0, T1: 0})
    assert coordinator.added == []
    assert (found[T0].error, found[T1].error) == (code, 0)
    assert found[T1].guard is not None


async def test_errors_are_those_of_batches(stand: Stand) -> None:
    found = await admissions(stand, Coordinator(E.PRODUCER_FENCED), FULL).of({T0: 0})
    assert found[T0].error == E.INVALID_PRODUCER_EPOCH


async def test_errors_of_partitions_are_not_asked_about(stand: Stand) -> None:
    coordinator = Coordinator()
    subject = admissions(stand, coordinator, FULL)
    stand.elect("t", leader=2, epoch=1)
    unknown = TopicPartition("t", 9)
    found = await subject.of({T0: 0, unknown: 0})
    assert (found[T0].error, found[unknown].error) == (E.NOT_LEADER_OR_FOLLOWER, E.UNKNOWN_TOPIC_OR_PARTITION)
    assert coordinator.asked == 0


async def test_errors_of_single_partitions(stand: Stand) -> None:
    """As a coordinator elsewhere tells them."""

    class Picky(Coordinator):
        async def admit(self, *_: object, **__: object) -> Mapping[TopicPartition, int]:
            return {T1: E.UNKNOWN_TOPIC_OR_PARTITION}

    found = await admissions(stand, Picky(), FULL).of({T0: 0, T1: 0})
    assert (found[T0].error, found[T1].error) == (0, E.UNKNOWN_TOPIC_OR_PARTITION)


async def test_it_may_be_switched_off_for_old_clients(stand: Stand) -> None:
    """transaction.partition.verification.enable; for new ones the broker must add partitions all the same."""
    stand.config.transaction_partition_verification_enable = False
    coordinator = Coordinator()
    found = await admissions(stand, coordinator, OLD).of({T0: 0})
    assert (found[T0].error, coordinator.asked) == (0, 0)
    assert found[T0].guard is not None
    await admissions(stand, coordinator, FULL).of({T0: 0})
    assert coordinator.asked == 1


async def test_the_transaction_before_is_waited_for(stand: Stand, autojump_clock: MockClock) -> None:
    busy = E.CONCURRENT_TRANSACTIONS
    coordinator = Coordinator(busy, busy)
    found = await admissions(stand, coordinator, FULL, retries=5).of({T0: 0})
    assert (found[T0].error, coordinator.asked) == (0, 3)
    impatient = Coordinator(busy, busy)
    found = await admissions(stand, impatient, FULL).of({T0: 0})
    assert (found[T0].error, impatient.asked) == (busy, 1)
