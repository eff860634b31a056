"""What a log remembers of one producer id: epoch, its last batches, its open transaction. (ProducerStateEntry)"""

from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import BatchHeader, increment_sequence

NUM_BATCHES_TO_RETAIN = 5
NO_EPOCH = -1
NO_SEQUENCE = -1
NO_TRANSACTION = -1
_INT32_MAX = 0x7FFFFFFF


class BatchMetadata(NamedTuple):
    """An appended batch, kept to recognise it when a producer sends it again. Timestamp in milliseconds."""

    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp: int

    @property
    def first_offset(self) -> int:
        return self.last_offset - self.offset_delta

    @property
    def first_sequence(self) -> int:
        return increment_sequence(self.last_sequence, -self.offset_delta)


class ProducerEntry:
    __slots__ = ("batches", "coordinator_epoch", "epoch", "first_offset", "last_timestamp", "producer_id")

    def __init__(
        self,
        producer_id: int,
        epoch: int = NO_EPOCH,
        coordinator_epoch: int = -1,
        last_timestamp: int = -1,
        first_offset: int = NO_TRANSACTION,
    ) -> None:
        """`first_offset` is that of the open transaction."""
        self.producer_id = producer_id
        self.epoch = epoch
        self.coordinator_epoch = coordinator_epoch
        self.last_timestamp = last_timestamp
        self.first_offset = first_offset
        self.batches: list[BatchMetadata] = []

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE

    def find_duplicate(self, header: BatchHeader) -> BatchMetadata | None:
        """The batch of the same epoch and sequences among the last five, when there is one."""
        if header.producer_epoch != self.epoch:
            return None
        last_sequence = header.last_sequence
        for batch in self.batches:
            if batch.last_sequence == last_sequence and batch.first_sequence == header.base_sequence:
                return batch
        return None

    def check_epoch(self, epoch: int, offset: int, where: TopicPartition) -> None:
        """Raises INVALID_PRODUCER_EPOCH for an epoch that was superseded."""
        if epoch < self.epoch:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"Epoch of producer {self.producer_id} at offset {offset} in {where} is {epoch}, which is smaller than "
                f"the last seen epoch {self.epoch}",
            )

    def check_sequence(self, header: BatchHeader, offset: int, where: TopicPartition) -> None:
        """Raises OUT_OF_ORDER_SEQUENCE_NUMBER unless the batch follows what is here."""
        if self.epoch == NO_EPOCH:
            return
        first = header.base_sequence
        if header.producer_epoch != self.epoch:
            if first != 0:
                raise KafkaError(
                    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                    f"Invalid sequence number for new epoch of producer {self.producer_id} at offset {offset} in "
                    f"partition {where}: {header.producer_epoch} (request epoch), {first} (seq. number), "
                    f"{self.epoch} (current producer epoch)",
                )
            return
        last = self.last_sequence
        if first != last + 1 and not (first == 0 and last == _INT32_MAX):
            raise KafkaError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"Out of order sequence number for producer {self.producer_id} at offset {offset} in "
                f"partition {where}: {first} (incoming seq. number), {last} (current end sequence number)",
            )

    def add_batch(self, header: BatchHeader, last_offset: int) -> None:
        if header.producer_epoch != self.epoch:
            self.epoch = header.producer_epoch
            self.batches = []
        elif len(self.batches) == NUM_BATCHES_TO_RETAIN:
            del self.batches[0]
        self.batches.append(
            BatchMetadata(header.last_sequence, last_offset, header.last_offset_delta, header.max_timestamp)
        )
        self.last_timestamp = header.max_timestamp

    def end_transaction(self, epoch: int, coordinator_epoch: int, timestamp: int) -> None:
        if epoch != self.epoch:
            self.epoch = epoch
            self.batches = []
        self.coordinator_epoch = coordinator_epoch
        self.first_offset = NO_TRANSACTION
        self.last_timestamp = timestamp
