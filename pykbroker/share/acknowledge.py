"""What members say of the records they have, and what is released without them. (SharePartition.acknowledge,
releaseAcquiredRecords, releaseAcquisitionLockOnTimeout)

Each operation starts transitions and returns what has to be written for them; SharePartition.complete() ends them.
"""

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.share.in_flight import InFlightBatch, InFlightState, RecordState
from pykbroker.share.locks import AcquisitionLock
from pykbroker.share.share_partition import StateUpdate

if TYPE_CHECKING:
    from pykbroker.share.share_partition import Limits, SharePartition


class AcknowledgeType(IntEnum):
    GAP = 0  # there is no such record: its batch was compacted, or it is a control record
    ACCEPT = 1
    RELEASE = 2
    REJECT = 3
    RENEW = 4  # KIP-1222


_RESULTS = {
    AcknowledgeType.GAP: RecordState.ARCHIVED,
    AcknowledgeType.ACCEPT: RecordState.ACKNOWLEDGED,
    AcknowledgeType.RELEASE: RecordState.AVAILABLE,
    AcknowledgeType.REJECT: RecordState.ARCHIVED,
}


class Acknowledgement(NamedTuple):
    """`types`: one for all offsets, or one for each."""

    first_offset: int
    last_offset: int
    types: list[int]

    def type_of(self, offset: int) -> int:
        return self.types[offset - self.first_offset] if len(self.types) > 1 else self.types[0]


def acknowledge(
    partition: "SharePartition", member_id: str, acknowledgements: list[Acknowledgement], now: float
) -> StateUpdate:
    """All of them or none: in Kafka, renewals before an error stay. Raises KafkaError INVALID_RECORD_STATE,
    INVALID_REQUEST."""
    operation = _Acknowledging(partition, member_id, now)
    try:
        for acknowledgement in acknowledgements:
            if acknowledgement.last_offset >= partition.start_offset:
                operation.acknowledge(acknowledgement)
    except KafkaError:
        partition.roll_back(operation.update)
        raise
    operation.renew()
    return operation.update


class _Acknowledging:
    __slots__ = ("deadline", "limits", "member_id", "partition", "renewed", "update")

    def __init__(self, partition: "SharePartition", member_id: str, now: float) -> None:
        self.partition = partition
        self.member_id = member_id
        self.limits: Limits = partition.limits()
        self.deadline = now + self.limits.lock_duration
        self.update = StateUpdate()
        self.renewed: list[tuple[int, int, InFlightState]] = []

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        for batch in self._batches(acknowledgement):
            if batch.last_offset < self.partition.start_offset:
                continue
            if batch.state is not None:
                self._check_batch(batch.state)
                if self._is_whole(batch, acknowledgement):
                    self._acknowledge_batch(batch, batch.state, acknowledgement.types[0])
                    continue
                if batch.state.state != RecordState.ACQUIRED:
                    raise _invalid_state(
                        "The batch cannot be acknowledged. The subset batch is not in the acquired state."
                    )
                batch.split(self.partition.locks)
            self._acknowledge_offsets(batch, acknowledgement)

    def _batches(self, acknowledgement: Acknowledgement) -> list[InFlightBatch]:
        cached, start = self.partition.cached, self.partition.start_offset
        first, last = acknowledgement.first_offset, acknowledgement.last_offset
        floor = cached.floor(first)
        if floor is None and first < start:
            floor = cached.floor(start)
        if floor is None:
            raise _invalid_state("Batch record not found. The request batch offsets are not found in the cache.")
        batches = cached.between(floor.first_offset, last)
        end = batches[-1].last_offset if batches else floor.last_offset
        if end < first:
            raise _invalid_request("Batch record not found. The first offset in request is past acquired records.")
        if end < last:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                "Batch record not found. The last offset in request is past acquired records.",
            )
        return batches

    def _check_batch(self, state: InFlightState) -> None:
        if not state.member_id:
            raise _invalid_state("The batch cannot be acknowledged. The batch is not in the acquired state.")
        if state.member_id != self.member_id:
            raise _invalid_state("Member is not the owner of batch record")
        if state.is_in_transition:
            raise _invalid_state("The record state is invalid. The acknowledgement of delivery could not be completed.")

    def _is_whole(self, batch: InFlightBatch, acknowledgement: Acknowledgement) -> bool:
        return (
            len(acknowledgement.types) == 1
            and batch.is_within(acknowledgement.first_offset, acknowledgement.last_offset)
            and batch.first_offset >= self.partition.start_offset
        )

    def _acknowledge_batch(self, batch: InFlightBatch, state: InFlightState, kind: int) -> None:
        if state.state != RecordState.ACQUIRED:
            raise _invalid_state("The batch cannot be acknowledged. The batch is not in the acquired state.")
        self._apply(batch.first_offset, batch.last_offset, state, kind)

    def _acknowledge_offsets(self, batch: InFlightBatch, acknowledgement: Acknowledgement) -> None:
        first = max(acknowledgement.first_offset, self.partition.start_offset)
        for offset, state in batch.items(first, acknowledgement.last_offset):
            if state.state != RecordState.ACQUIRED:
                raise _invalid_state("The offset cannot be acknowledged. The offset is not acquired.")
            if state.member_id != self.member_id:
                raise _invalid_state("Member is not the owner of offset")
            self._apply(offset, offset, state, acknowledgement.type_of(offset))

    def _apply(self, first: int, last: int, state: InFlightState, kind: int) -> None:
        if kind == AcknowledgeType.RENEW:
            if not self.limits.allows_renewal:
                raise _invalid_state("Renewing acquisition locks is not enabled for the group.")
            self.renewed.append((first, last, state))
            return
        if not state.start_transition(_RESULTS[AcknowledgeType(kind)], self.limits.delivery_count):
            raise _invalid_state("Unable to acknowledge records for the batch")
        self.update.add_transition(first, last, state)
        if state.state.is_terminal:
            self.partition.delivery_complete_count += last - first + 1

    def renew(self) -> None:
        for first, last, renewed in self.renewed:
            for state, start, end in renewed.pieces(first, last):
                if state.state == RecordState.ACQUIRED:
                    state.unlock()
                    state.lock = self.partition.locks.add(start, end, self.deadline)


def release_acquired(partition: "SharePartition", member_id: str) -> StateUpdate:
    """Everything the member has: its session is over. Those before the start offset are archived."""
    update = StateUpdate()
    limit = partition.limits().delivery_count
    for batch in partition.cached:
        state = batch.state
        if state is not None:
            if state.member_id != member_id or state.state != RecordState.ACQUIRED:
                continue
            if not _straddles_start(partition, batch):
                _release(partition, batch.first_offset, batch.last_offset, state, limit, update)
                continue
            batch.split(partition.locks)
        for offset, one in batch.items(batch.first_offset, batch.last_offset):
            if one.member_id == member_id and one.state == RecordState.ACQUIRED:
                _release(partition, offset, offset, one, limit, update)
    return update


def _straddles_start(partition: "SharePartition", batch: InFlightBatch) -> bool:
    return batch.first_offset < partition.start_offset <= batch.last_offset


def _release(
    partition: "SharePartition", first: int, last: int, state: InFlightState, limit: int, update: StateUpdate
) -> None:
    wanted = RecordState.ARCHIVED if last < partition.start_offset else RecordState.AVAILABLE
    if state.start_transition(wanted, limit):
        update.add_transition(first, last, state)
        if state.state.is_terminal:
            partition.delivery_complete_count += partition.count_from_start(first, last)


def release_expired(partition: "SharePartition", now: float) -> StateUpdate:
    """What locks that have run out by `now` held, available at once. Records whose acknowledgement is being written
    stay as they are until that is known."""
    update = StateUpdate()
    limit = partition.limits().delivery_count
    while (lock := partition.locks.pop_expired(now)) is not None:
        for batch in partition.cached.overlapping(lock.first_offset, lock.last_offset):
            _release_expired(partition, batch, lock, limit, update)
    if update:
        partition.wake()
    return update


def _release_expired(
    partition: "SharePartition", batch: InFlightBatch, lock: AcquisitionLock, limit: int, update: StateUpdate
) -> None:
    state = batch.state
    if state is not None:
        if batch.last_offset < lock.first_offset:
            return
        if state.state != RecordState.ACQUIRED or not _straddles_start(partition, batch):
            _expire(partition, batch.first_offset, batch.last_offset, state, limit, update)
            return
        batch.split(partition.locks)
    for offset, one in batch.items(lock.first_offset, lock.last_offset):
        _expire(partition, offset, offset, one, limit, update)


def _expire(
    partition: "SharePartition", first: int, last: int, state: InFlightState, limit: int, update: StateUpdate
) -> None:
    if state.state != RecordState.ACQUIRED:
        return
    wanted = RecordState.ARCHIVED if last < partition.start_offset else RecordState.AVAILABLE
    if not state.try_update(wanted, limit):
        return
    state.unlock()
    update.add(first, last, state)
    if state.state.is_terminal:
        partition.delivery_complete_count += partition.count_from_start(first, last)
    else:
        partition.looks_for_next_offset = True


def _invalid_state(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_RECORD_STATE, message)


def _invalid_request(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, message)
