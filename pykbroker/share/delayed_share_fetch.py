"""A share fetch: it waits until enough records are there that nobody else has, then they are its member's.
(DelayedShareFetch, ShareFetchUtils)
"""

import logging
from collections.abc import Mapping
from random import Random
from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.share_fetch import PartitionData
from pykbroker.replica.fetch_read import FetchedPartition, FetchParams, read_partition
from pykbroker.replica.fetch_session import FetchRow
from pykbroker.share.acquire import Wish, acquire
from pykbroker.share.fetched_records import read_records
from pykbroker.share.led_partition import LedPartition
from pykbroker.share.share_partition_manager import SharePartitionManager
from pykbroker.share.share_session import RowKey
from pykbroker.share.start_offset import move_to_log_start

LOG = logging.getLogger("pykbroker.share")
_CONSUMER = -1
_NO_EPOCH = -1
_random = Random()  # who gets the odd bytes

Answer = dict[RowKey, PartitionData]


class ShareFetchParams(NamedTuple):
    """Limits of one request, sizes in bytes."""

    group_id: str
    member_id: str
    min_bytes: int
    max_bytes: int
    max_records: int
    batch_size: int
    is_record_limit: bool
    isolation_level: int


class _Read(NamedTuple):
    led: LedPartition
    offset: int
    fetched: FetchedPartition | KafkaError


class DelayedShareFetch:
    """`rows`: the share partitions asked for, in the order in which they are served; `errors`: of those not here."""

    def __init__(
        self,
        manager: SharePartitionManager,
        params: ShareFetchParams,
        rows: Mapping[RowKey, LedPartition],
        errors: Mapping[RowKey, KafkaError],
    ) -> None:
        self._manager = manager
        self._params = params
        self._rows = rows
        self._errors = errors
        self._fetch_params = FetchParams(
            _CONSUMER, params.isolation_level, params.min_bytes, params.max_bytes, only_leader=True
        )
        self._changed: Pending[None] = Pending()

    def wake(self) -> None:
        self._changed.try_complete(None)

    async def run(self, deadline: float | None) -> Answer:
        """The rows there is something to say about; `deadline`: clock.monotonic seconds, None: at once."""
        if self._params.max_records == 0 or self._params.max_bytes == 0 or not self._rows:
            return self._with_errors({})
        answer = self._try()
        if answer is None and deadline is not None:
            answer = await self._wait(deadline)
        if answer is None:
            answer = self._acquire(self._read())
        return self._with_errors(answer)

    async def _wait(self, deadline: float) -> Answer | None:
        """None: as before when the time is over."""
        shares = [led.share for led in self._rows.values()]
        for share in shares:
            share.waiters.add(self)
        try:
            while not self._manager.is_closing:
                self._changed = Pending()
                if not await self._changed.wait_until(deadline):
                    return None
                answer = self._try()
                if answer is not None:
                    return answer
            return None
        finally:
            for share in shares:
                share.waiters.discard(self)

    def _try(self) -> Answer | None:
        """None: not enough yet."""
        reads = self._read()
        return self._acquire(reads) if reads and self._is_enough(reads) else None

    def _is_enough(self, reads: list[_Read]) -> bool:
        size = 0
        for read in reads:
            if isinstance(read.fetched, KafkaError) or read.fetched.must_answer:
                return True
            size += read.fetched.size
        return size >= self._params.min_bytes

    # -- reading

    def _read(self) -> list[_Read]:
        """Every partition with something to give out gets an equal part of max.bytes (PartitionMaxBytesStrategy)."""
        rows = [led for led in self._rows.values() if led.share.is_active and led.share.can_acquire()]
        left = self._params.max_bytes
        min_one = True
        reads = []
        for led, most in zip(rows, _shares_of(left, len(rows)), strict=True):
            read = self._read_one(led, most, left, min_one)
            if isinstance(read.fetched, FetchedPartition) and read.fetched.size:
                min_one = False
                left = max(0, left - read.fetched.size)
            reads.append(read)
        return reads

    def _read_one(self, led: LedPartition, most: int, left: int, min_one: bool) -> _Read:
        offset = led.share.next_fetch_offset()
        topic = led.share.key.partition
        row = FetchRow(topic.topic, topic.partition, _NO_EPOCH, offset, _NO_EPOCH, most)
        try:
            return _Read(led, offset, read_partition(led.partition, row, self._fetch_params, left, min_one))
        except KafkaError as error:
            return _Read(led, offset, error)

    # -- giving out

    def _acquire(self, reads: list[_Read]) -> Answer:
        answer: Answer = {}
        count = 0
        for led, offset, fetched in reads:
            topic = led.share.key.partition
            if isinstance(fetched, KafkaError):
                data = self._failed(led, fetched)
            else:
                data, acquired = self._give_out(led, offset, fetched, self._params.max_records - count)
                count += acquired
            answer[topic.topic_id, topic.partition] = data
        return answer

    def _failed(self, led: LedPartition, error: KafkaError) -> PartitionData:
        """Records that were deleted are nobody's any more; no error of the client's."""
        index = led.share.key.partition.partition
        if error.code != ErrorCode.OFFSET_OUT_OF_RANGE:
            return PartitionData(partition_index=index, error_code=error.code)
        move_to_log_start(led.share, led.partition.log.log_start_offset)
        return PartitionData(partition_index=index)

    def _give_out(
        self, led: LedPartition, offset: int, fetched: FetchedPartition, max_records: int
    ) -> tuple[PartitionData, int]:
        """(its row, how many records). What cannot be read is told in its row alone; Kafka gives this error to every
        partition of the request."""
        params, share = self._params, led.share
        data = PartitionData(partition_index=share.key.partition.partition)
        if max_records <= 0 or not fetched.size:
            return data, 0
        try:
            records = read_records(fetched.regions, max(share.end_offset, offset), max_records, fetched.aborted or ())
        except OSError as error:
            data.error_code = led.partition.log.storage_error(error).code
            return data, 0
        except KafkaError as error:
            LOG.warning("Records of %s from offset %d on cannot be read: %s", share.key.partition, offset, error)
            data.error_code = error.code
            return data, 0
        wish = Wish(params.member_id, max_records, params.batch_size, params.is_record_limit, offset)
        acquired, count = acquire(share, wish, records, self._manager.clock.monotonic())
        if acquired:
            data.acquired_records = acquired
            data.records = records.slice(acquired)
            self._manager.look_at_locks(led)
        return data, count

    def _with_errors(self, answer: Answer) -> Answer:
        failures = {key: led.failure for key, led in self._rows.items() if led.failure is not None}
        for key, error in {**self._errors, **failures}.items():
            answer[key] = PartitionData(partition_index=key[1], error_code=error.code)
        return answer


def _shares_of(size: int, count: int) -> list[int]:
    """`size` in `count` parts as equal as can be; what does not divide goes to one of them by chance."""
    if not count:
        return []
    part, rest = divmod(size, count)
    if part:
        parts = [part] * count
        parts[_random.randrange(count)] += rest
        return parts
    first = _random.randrange(count)
    return [int((index - first) % count < rest) for index in range(count)]
