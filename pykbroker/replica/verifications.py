"""Transactional records come into a log only where their coordinator knows of the transaction (KIP-890).

Before the first batch of a transaction the coordinator is asked. Who asks holds a guard; a marker, or the first batch,
takes it back. So a late answer can't begin what has ended meanwhile, which would hang for ever.
(VerificationGuard, VerificationStateEntry, UnifiedLog.maybeStartTransactionVerification)
"""

from typing import TYPE_CHECKING, Final

from pykbroker.errors import KafkaError
from pykbroker.log.producer_entry import NO_TRANSACTION, ProducerEntry
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import BatchHeader

if TYPE_CHECKING:
    from pykbroker.replica.partition import Partition

NO_SEQUENCE: Final = -1


class Verification:
    """One producer's; it is its own guard. `lowest_sequence`: no batch behind it may overtake it."""

    __slots__ = ("bumps_epochs", "epoch", "lowest_sequence", "started_ms")

    def __init__(self, started_ms: int, sequence: int, epoch: int, bumps_epochs: bool) -> None:
        self.started_ms = started_ms
        self.lowest_sequence = sequence
        self.epoch = epoch
        self.bumps_epochs = bumps_epochs

    def update(self, sequence: int, epoch: int) -> None:
        if epoch > self.epoch or (epoch == self.epoch and sequence < self.lowest_sequence):
            self.epoch, self.lowest_sequence = epoch, sequence


Verifications = dict[int, Verification]


def start_verification(
    partition: "Partition", producer_id: int, epoch: int, sequence: int, *, bumps_epochs: bool, now_ms: int
) -> Verification | None:
    """The guard to append with once the coordinator agrees; None: the transaction is open here, nobody is asked.

    Raises KafkaError INVALID_PRODUCER_EPOCH.
    """
    partition.check_leader()
    state = partition.log.producer_state
    entry = state.producers.get(producer_id)
    _check_epoch(entry, epoch)
    if is_open(entry, epoch):
        return None
    found = partition.verifications
    if found is None:
        found = partition.verifications = {}
    _expire(found, now_ms - state.expiration_ms)
    verification = found.get(producer_id)
    if verification is None:
        verification = found[producer_id] = Verification(now_ms, sequence, epoch, bumps_epochs)
    else:
        verification.update(sequence, epoch)
    return verification


def check_verified(partition: "Partition", header: BatchHeader, guard: object | None) -> None:
    """Whether a transactional batch may be appended now. Raises KafkaError INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE,
    OUT_OF_ORDER_SEQUENCE_NUMBER."""
    entry = partition.log.producer_state.producers.get(header.producer_id)
    _check_epoch(entry, header.producer_epoch)
    if is_open(entry, header.producer_epoch):
        return
    verification = (partition.verifications or {}).get(header.producer_id)
    if verification is None or verification is not guard:
        raise KafkaError(ErrorCode.INVALID_TXN_STATE, "Record was not part of an ongoing transaction")


def check_first_sequence(partition: "Partition", header: BatchHeader) -> None:
    """Raises OUT_OF_ORDER_SEQUENCE_NUMBER for a client's batch that overtakes one that is being verified, or that does
    not begin at 0 where transactions v2 give every transaction an epoch of its own."""
    verification = (partition.verifications or {}).get(header.producer_id)
    if verification is None:
        return
    first = header.base_sequence
    entry = partition.log.producer_state.producers.get(header.producer_id)
    is_late_start = verification.bumps_epochs and first != 0 and (entry is None or not entry.batches)
    if is_late_start or first > verification.lowest_sequence:
        raise KafkaError(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"Invalid sequence number for producer {header.producer_id} in partition {partition.topic_partition}: "
            f"{first} (incoming seq. number), {verification.lowest_sequence} (earliest seen sequence)",
        )


def forget_verification(partition: "Partition", producer_id: int) -> None:
    """A batch or a marker is in the log: guards are of no use any more."""
    if partition.verifications:
        partition.verifications.pop(producer_id, None)


def _check_epoch(entry: ProducerEntry | None, epoch: int) -> None:
    if entry is not None and epoch < entry.epoch:
        raise KafkaError(
            ErrorCode.INVALID_PRODUCER_EPOCH,
            f"Epoch of producer {entry.producer_id} is {epoch}, which is smaller than the last seen epoch "
            f"{entry.epoch}",
        )


def is_open(entry: ProducerEntry | None, epoch: int) -> bool:
    """Whether the producer has a transaction of this epoch open."""
    return entry is not None and entry.first_offset != NO_TRANSACTION and entry.epoch == epoch


def _expire(verifications: Verifications, before_ms: int) -> None:
    """In the order in which they were started."""
    while verifications:
        producer_id, oldest = next(iter(verifications.items()))
        if oldest.started_ms > before_ms:
            return
        del verifications[producer_id]
