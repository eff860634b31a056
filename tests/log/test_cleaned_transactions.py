"""Which data of transactions and which markers may go."""

from pykbroker.log.cleaned_transactions import CleanedTransactions
from pykbroker.log.transaction_index import AbortedTransaction
from pykbroker.record.batch import BatchHeader, parse_header
from pykbroker.record.builder import build_batch
from pykbroker.record.control import ControlType, control_key, end_transaction_batch

COMMIT, ABORT = control_key(ControlType.COMMIT), control_key(ControlType.ABORT)


def data(offset: int, producer_id: int = 1, *, transactional: bool = True) -> BatchHeader:
    return parse_header(
        build_batch(
            [(b"k", b"v", [], 0)],
            base_offset=offset,
            producer_id=producer_id,
            producer_epoch=0,
            base_sequence=0,
            is_transactional=transactional,
        )
    )


def marker(offset: int, producer_id: int = 1) -> BatchHeader:
    return parse_header(
        end_transaction_batch(
            commit=True, producer_id=producer_id, producer_epoch=0, coordinator_epoch=0, timestamp=0, base_offset=offset
        )
    )


def test_a_commit_marker_goes_when_its_data_has_gone() -> None:
    seen = CleanedTransactions(())
    assert not seen.on_data(data(0))
    assert not seen.on_control(marker(1), COMMIT)
    assert seen.on_control(marker(2), COMMIT)
    assert not seen.on_data(data(3, transactional=False))
    assert seen.on_control(marker(4), COMMIT)


def test_aborted_data_goes_at_once_and_its_marker_stays_with_the_index() -> None:
    aborted = AbortedTransaction(1, 2, 4, 5)
    seen = CleanedTransactions([aborted, aborted])
    kept: list[AbortedTransaction] = []
    seen.keep_aborted = kept.append
    assert [seen.on_data(data(0)), seen.on_control(marker(1), COMMIT)] == [False, False]
    assert [seen.on_data(data(2)), seen.on_data(data(3, 7))] == [True, False]
    assert not seen.on_control(marker(4), ABORT)
    assert kept == [aborted]
    assert not seen.on_data(data(5)), "the next transaction of the producer is not aborted"


def test_a_marker_of_an_aborted_transaction_without_data_goes_with_its_entry() -> None:
    seen = CleanedTransactions([AbortedTransaction(1, 2, 4, 5)])
    kept: list[AbortedTransaction] = []
    seen.keep_aborted = kept.append
    assert seen.on_control(marker(4), ABORT)
    assert not kept


def test_an_emptied_control_batch_goes_and_others_are_not_of_transactions() -> None:
    seen = CleanedTransactions(())
    assert seen.on_control(marker(0), None)
    assert not seen.on_control(marker(1), control_key(ControlType.LEADER_CHANGE))
