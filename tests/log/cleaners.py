"""What the tests of the cleaner share: one cleaning without threads, transactions, what a log holds."""

from collections.abc import Callable, Iterator
from typing import Any

from pykbroker.log.cleaner_manager import to_clean
from pykbroker.log.cleaning import Cleaning
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.batch import BatchHeader, unpack_header
from pykbroker.record.builder import build_batch
from pykbroker.record.control import end_transaction_batch
from pykbroker.record.reader import Record, iterate_records
from tests.log.logs import NOW, append


class CleanerSettings:
    """Kafka's defaults but for `values`."""

    log_cleaner_threads = 1
    log_cleaner_dedupe_buffer_size = 134_217_728
    log_cleaner_io_buffer_load_factor = 0.9
    log_cleaner_io_buffer_size = 524_288
    log_cleaner_io_max_bytes_per_second = 1.7976931348623157e308
    log_cleaner_backoff_ms = 15_000

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def unhurried(_: int) -> None:
    return


def steps(
    log: UnifiedLog, *, pace: Callable[[int], None] = unhurried, largest_segment: int = 2**31 - 1, **settings: Any
) -> Iterator[None]:
    """One cleaning, job by job; whatever the log's dirtiness."""
    found = to_clean(log, log.clock.wall_ms())
    if not found.cleanable_bytes:
        return
    running = Cleaning(found, CleanerSettings(**settings), pace, largest_segment=largest_segment).steps()
    try:
        job = next(running)
        while True:
            yield
            job = running.send(job())
    except StopIteration:
        return


def clean(log: UnifiedLog, **settings: Any) -> None:
    for _ in steps(log, **settings):
        pass


def map_of(keys: int) -> dict[str, Any]:
    """Settings for a map of so many keys."""
    return {"log_cleaner_dedupe_buffer_size": 24 * (keys + 1), "log_cleaner_io_buffer_load_factor": keys / (keys + 1)}


def keyed(
    *pairs: tuple[bytes | None, bytes | None], timestamp: int = NOW, base_offset: int = 0, **fields: Any
) -> bytearray:
    return build_batch([(key, value, [], timestamp) for key, value in pairs], base_offset=base_offset, **fields)


def put(log: UnifiedLog, *pairs: tuple[bytes | None, bytes | None], **fields: Any) -> int:
    """Appends one batch of records; its first offset."""
    return append(log, keyed(*pairs, **fields))


def put_transactional(log: UnifiedLog, producer_id: int, *pairs: tuple[bytes, bytes | None], sequence: int = 0) -> int:
    fields = {"producer_id": producer_id, "producer_epoch": 0, "base_sequence": sequence, "is_transactional": True}
    return append(log, keyed(*pairs, **fields))


def end_transaction(log: UnifiedLog, producer_id: int, *, commit: bool, timestamp: int = NOW) -> int:
    marker = end_transaction_batch(
        commit=commit, producer_id=producer_id, producer_epoch=0, coordinator_epoch=0, timestamp=timestamp
    )
    return append(log, marker)


def batches(log: UnifiedLog) -> list[tuple[BatchHeader, bytes]]:
    """Every batch in the files."""
    found = []
    for segment in log.segments:
        for batch in segment.batches(0):
            data = segment.read(batch.position, batch.size)
            found.append((unpack_header(data), data))
    return found


def records(log: UnifiedLog) -> list[Record]:
    """Of data batches, committed or not."""
    return [record for header, data in batches(log) if not header.is_control for record in iterate_records(data)]


def committed(log: UnifiedLog) -> list[Record]:
    """What a read_committed consumer gets, by the log's own transaction index, as consumers do it (KIP-98)."""
    aborted = sorted(
        log.aborted_transactions(log.segments[0].base_offset, log.log_end_offset), key=lambda one: one.first_offset
    )
    open_aborts: set[int] = set()
    found: list[Record] = []
    for header, data in batches(log):
        while aborted and aborted[0].first_offset <= header.last_offset:
            open_aborts.add(aborted.pop(0).producer_id)
        if header.is_control:
            is_abort = any((record.key or b"")[3] == 0 for record in iterate_records(data))
            if is_abort:
                open_aborts.discard(header.producer_id)
            continue
        if header.is_transactional and header.producer_id in open_aborts:
            continue
        found += iterate_records(data)
    return found


def latest(found: list[Record]) -> dict[bytes | None, bytes]:
    """The table that a compacted topic is: key → value, without the deleted ones."""
    table: dict[bytes | None, bytes] = {}
    for record in found:
        if record.value is None:
            table.pop(record.key, None)
        else:
            table[record.key] = record.value
    return table
