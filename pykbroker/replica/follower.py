"""How far this broker follows one partition, and what an answer of the leader makes of its log. No sockets.

Kafka: PartitionFetchState, AbstractFetcherThread.processFetchRequest and fetchOffsetAndTruncate, ReplicaFetcherThread;
KIP-101, KIP-279, KIP-595 (truncation by what a fetch says).
"""

from contextlib import AbstractContextManager
from enum import Enum
from logging import DEBUG, WARNING, getLogger
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pykbroker.errors import KafkaError
from pykbroker.log.follower_append import NOTHING, FollowerAppendInfo, UnexpectedAppendOffset, append_as_follower
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.damage import CorruptBatch, InvalidRecord
from pykbroker.replica.list_offsets import EARLIEST, LATEST

if TYPE_CHECKING:
    from pykbroker.log.unified_log import UnifiedLog
    from pykbroker.protocol.messages.fetch import PartitionData
    from pykbroker.replica.partition import Partition

logger = getLogger(__name__)
NO_EPOCH = -1
UNDEFINED = -1


class Wanted(NamedTuple):
    """What a fetch asks for one partition; equal ones need not be sent again (FetchRequest.PartitionData)."""

    current_leader_epoch: int
    fetch_offset: int
    last_fetched_epoch: int
    log_start_offset: int
    max_bytes: int


class Outcome(Enum):
    """What becomes of the partition after an answer."""

    GOES_ON = "goes on"
    RETRIED = "retried"  # after replica.fetch.backoff.ms
    FAILED = "failed"  # until it has another leader epoch
    FENCED = "fenced"  # the same; the metadata that tell of the epoch are on their way


class Truncation(Protocol):
    """What a follower needs of the LogManager."""

    def truncations(self) -> AbstractContextManager[None]:
        """Around truncate_to() of many logs, to none of which anything is appended."""

    def truncate_to(self, log: "UnifiedLog", offset: int) -> bool:
        """Raises OSError."""

    def truncate_fully_and_start_at(self, log: "UnifiedLog", offset: int) -> None:
        """Raises OSError."""


class Follower:
    """One leader epoch of one partition. Times in monotonic seconds."""

    __slots__ = (
        "_truncation",
        "delayed_until",
        "fetch_offset",
        "lag",
        "last_fetched_epoch",
        "leader_end",
        "leader_epoch",
        "lookup",
        "partition",
    )

    def __init__(self, partition: "Partition", truncation: Truncation) -> None:
        """Goes on at the log end. A log without epochs cannot be compared with the leader's: only what is committed
        stays. Raises KafkaError."""
        self.partition = partition
        self.leader_epoch = partition.leader_epoch
        self._truncation = truncation
        self.delayed_until = -inf
        # Records between here and the leader's high watermark; None as long as the leader has not answered.
        self.lag: int | None = None
        # ListOffsets' timestamp of what must be known of the leader's log before anything is fetched.
        self.lookup: int | None = None
        self.leader_end = UNDEFINED
        log = partition.log
        if log.leader_epochs.latest_epoch() is None and log.log_end_offset > log.high_watermark:
            logger.info("Truncating %s to its high watermark %d", partition.topic_partition, log.high_watermark)
            self._truncate(log.high_watermark)
        self._continue_at_end()

    def _continue_at_end(self) -> None:
        log = self.partition.log
        self.fetch_offset = log.log_end_offset
        epoch = log.leader_epochs.latest_epoch()
        self.last_fetched_epoch = NO_EPOCH if epoch is None else epoch

    def is_ready(self, now: float) -> bool:
        return self.lookup is None and self.delayed_until <= now

    @property
    def is_in_sync(self) -> bool:
        return self.lag is not None and self.lag <= 0

    def wanted(self, max_bytes: int) -> Wanted:
        start = self.partition.log.log_start_offset
        return Wanted(self.leader_epoch, self.fetch_offset, self.last_fetched_epoch, start, max_bytes)

    # A fetch's answer

    def take(self, row: "PartitionData", now_ms: int) -> Outcome:
        """One partition of a Fetch response, asked with what wanted() says."""
        if row.error_code:
            return self._refused(row.error_code)
        try:
            diverging = row.diverging_epoch
            if diverging.epoch >= 0:
                # The offsets in the row count when the log has been cut: they come with the next answer.
                self._truncate_diverging(diverging.epoch, diverging.end_offset)
            else:
                self._store(row, now_ms)
        except (CorruptBatch, InvalidRecord) as error:
            logger.error(
                "Found invalid messages during fetch for partition %s offset %d: %s",
                self.name,
                self.fetch_offset,
                error,
            )
            return Outcome.RETRIED
        except KafkaError as error:
            logger.error("Cannot follow %s from offset %d on: %s", self.name, self.fetch_offset, error)
            return Outcome.FAILED
        except Exception:  # whatever one partition's data do, the others go on
            logger.exception("Cannot follow %s from offset %d on", self.name, self.fetch_offset)
            return Outcome.FAILED
        return Outcome.GOES_ON

    @property
    def name(self) -> str:
        return str(self.partition.topic_partition)

    def _refused(self, code: int) -> Outcome:
        if code == ErrorCode.OFFSET_OUT_OF_RANGE:
            self.lookup = LATEST
            return Outcome.GOES_ON
        if code == ErrorCode.FENCED_LEADER_EPOCH:
            return Outcome.FENCED
        # Usual while leaders change: it knows less or more than this broker.
        level = DEBUG if code in (ErrorCode.UNKNOWN_LEADER_EPOCH, ErrorCode.NOT_LEADER_OR_FOLLOWER) else WARNING
        logger.log(level, "The leader of %s answers error code %d, it is asked again", self.name, code)
        return Outcome.RETRIED

    def _store(self, row: "PartitionData", now_ms: int) -> None:
        """Raises KafkaError."""
        log = self.partition.log
        if self.fetch_offset != log.log_end_offset:
            raise KafkaError(
                ErrorCode.UNKNOWN_SERVER_ERROR,
                f"Offset mismatch for partition {self.name}: fetched offset = {self.fetch_offset}, log end offset = "
                f"{log.log_end_offset}.",
            )
        info = self._append(row.records, now_ms) if row.records else NOTHING
        if info.num_bytes:
            self.fetch_offset = info.last_offset + 1
            if info.last_leader_epoch >= 0:
                self.last_fetched_epoch = info.last_leader_epoch
        self.lag = max(0, row.high_watermark - self.fetch_offset)
        self.partition.followed(row.high_watermark, row.log_start_offset)

    def _append(self, records: bytes | bytearray | memoryview, now_ms: int) -> FollowerAppendInfo:
        """Raises KafkaError."""
        log = self.partition.log
        try:
            return append_as_follower(log, records, now_ms, self.leader_epoch)
        except UnexpectedAppendOffset as error:
            # The leader's log may begin within a batch, after DeleteRecords: the batch comes as a whole.
            is_empty = log.log_end_offset == log.log_start_offset
            if not is_empty or not error.first_offset < log.log_end_offset <= error.last_offset:
                raise
            logger.info("The log of %s begins at %d, within the first batch", self.name, error.first_offset)
            self._truncate_fully(error.first_offset)
            return append_as_follower(log, records, now_ms, self.leader_epoch)

    # Truncating

    def _truncate_diverging(self, epoch: int, end_offset: int) -> None:
        """To where both logs may be the same; the next answer tells whether they are (getOffsetTruncationState).
        Raises KafkaError."""
        log = self.partition.log
        own_epoch, own_end = log.end_offset_for_epoch(epoch)
        if own_end == UNDEFINED:
            target = end_offset
        elif own_epoch != epoch:
            target = own_end
        else:
            target = min(own_end, end_offset)
        target = min(target, log.log_end_offset)
        logger.info(
            "Truncating %s from %d to %d, high watermark %d: the leader's epoch %d ends at %d",
            self.name,
            log.log_end_offset,
            target,
            log.high_watermark,
            epoch,
            end_offset,
        )
        self._truncate(target)
        self._continue_at_end()

    def _truncate(self, offset: int) -> None:
        """Raises KafkaError KAFKA_STORAGE_ERROR."""
        log = self.partition.log
        try:
            self._truncation.truncate_to(log, offset)
        except OSError as error:
            raise log.storage_error(error) from error

    def _truncate_fully(self, offset: int) -> None:
        """Raises KafkaError KAFKA_STORAGE_ERROR."""
        log = self.partition.log
        try:
            self._truncation.truncate_fully_and_start_at(log, offset)
        except OSError as error:
            raise log.storage_error(error) from error

    # Where the leader's log begins and ends, after OFFSET_OUT_OF_RANGE

    def looked_up(self, offset: int, error_code: int) -> Outcome:
        """The answer to `lookup`. The leader's log may end before this one, after an unclean election; or begin behind
        it, when this broker was away for long."""
        if error_code:
            return self._refused_lookup(error_code)
        try:
            return self._reset(offset)
        except KafkaError as error:
            logger.error("Cannot follow %s: %s", self.name, error)
            return Outcome.FAILED
        except Exception:  # as in take()
            logger.exception("Cannot follow %s", self.name)
            return Outcome.FAILED

    def _refused_lookup(self, code: int) -> Outcome:
        if code == ErrorCode.FENCED_LEADER_EPOCH:
            return Outcome.FENCED
        self.lookup = LATEST
        logger.info("The leader of %s answers error code %d when asked for its offsets", self.name, code)
        return Outcome.RETRIED

    def _reset(self, offset: int) -> Outcome:
        """Raises KafkaError."""
        log = self.partition.log
        end = log.log_end_offset
        if self.lookup == LATEST and offset >= end:
            self.leader_end, self.lookup = offset, EARLIEST
            return Outcome.GOES_ON
        if self.lookup == LATEST:
            logger.warning("Reset fetch offset of %s from %d to the leader's latest offset %d", self.name, end, offset)
            self._truncate(offset)
            self.lag = 0
        else:
            if offset > end:
                logger.warning("Truncate %s, which ends at %d, to the leader's start offset %d", self.name, end, offset)
                self._truncate_fully(offset)
            else:
                logger.info("Reset fetch offset of %s to the end of its log %d", self.name, end)
            self.lag = max(0, self.leader_end - log.log_end_offset)
        self.lookup = None
        self._continue_at_end()
        return Outcome.GOES_ON
