"""Which transactions were aborted, while a log is cleaned from its beginning. (CleanedTransactionMetadata)

It says what of a transaction may go: data of aborted ones at once, a marker once no data of it is left. Aborted ones
whose data is still in the log go on into the transaction index of the cleaned segment.
"""

from collections.abc import Callable, Iterable

from pykbroker.log.transaction_index import AbortedTransaction
from pykbroker.record.batch import BatchHeader
from pykbroker.record.control import ControlType, control_type_of


class _Ongoing:
    __slots__ = ("aborted", "has_data")

    def __init__(self, aborted: AbortedTransaction) -> None:
        self.aborted = aborted
        self.has_data = False


class CleanedTransactions:
    """Sees every batch once, in order. `keep_aborted` gets what belongs into the index of the segment being written."""

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        """`aborted`: all that touch the offsets to come."""
        self.keep_aborted: Callable[[AbortedTransaction], None] = _ignore
        self._ahead = sorted(set(aborted), key=lambda transaction: transaction.first_offset, reverse=True)
        self._aborted: dict[int, _Ongoing] = {}
        self._committed: set[int] = set()

    def on_data(self, header: BatchHeader) -> bool:
        """Whether the batch is of an aborted transaction: its records may go."""
        self._begin_up_to(header.last_offset)
        if not header.is_transactional:
            return False
        ongoing = self._aborted.get(header.producer_id)
        if ongoing is not None:
            ongoing.has_data = True
            return True
        self._committed.add(header.producer_id)
        return False

    def on_control(self, header: BatchHeader, key: bytes | None) -> bool:
        """Whether the control batch may go: no data of its transaction was seen. `key` is that of its record, None when
        cleaning emptied it before. Raises InvalidRecord."""
        self._begin_up_to(header.last_offset)
        if key is None:
            return True
        kind = control_type_of(key)
        if kind == ControlType.COMMIT:
            return not self._take_committed(header.producer_id)
        if kind == ControlType.ABORT:
            ongoing = self._aborted.pop(header.producer_id, None)
            if ongoing is not None and ongoing.has_data:
                self.keep_aborted(ongoing.aborted)
                return False
            return True
        return False

    def _take_committed(self, producer_id: int) -> bool:
        is_there = producer_id in self._committed
        self._committed.discard(producer_id)
        return is_there

    def _begin_up_to(self, offset: int) -> None:
        while self._ahead and self._ahead[-1].first_offset <= offset:
            aborted = self._ahead.pop()
            self._aborted.setdefault(aborted.producer_id, _Ongoing(aborted))


def _ignore(_: AbortedTransaction) -> None:
    return
