"""What an interrupted deletion, compaction or checkpoint left in a log's directory, ours or Kafka's. (LogLoader)"""

import os
from collections.abc import Iterable
from logging import getLogger

from pykbroker.log.files import Files, LogFile
from pykbroker.log.log_config import LogConfig
from pykbroker.log.segment import LogSegment

logger = getLogger(__name__)
DIGITS = 20
SWAP = ".swap"
CLEANED = ".cleaned"
DELETED = ".deleted"
TEMPORARY = ".tmp"
LEFT = (SWAP, CLEANED, DELETED, TEMPORARY)
# Snapshots of the metadata log that Kafka's raft is removing: they are raft's, not the log's.
RAFT_DELETED = ".checkpoint.deleted"
INDEXES = (".index", ".timeindex", ".txnindex")


def base_offset_of(name: str) -> int | None:
    """The offset in a file's name, None when the name does not begin with one."""
    digits = name[:DIGITS]
    return int(digits) if len(digits) == DIGITS and digits.isdigit() else None


def tidy(files: Files, directory: str, config: LogConfig) -> list[str]:
    """Removes leftovers, finishes an interrupted swap, drops indexes whose segment is gone; returns the names of the
    files that stay. Raises OSError.

    A .swap segment is whole, and what it replaces may be .deleted already: it takes its final name. One at or behind a
    .cleaned file belongs to a swap that had not begun for all its parts: it goes, the originals are still there.
    """
    names = sorted(os.listdir(directory))
    if any(name.endswith(LEFT) and not name.endswith(RAFT_DELETED) for name in names):
        _tidy(files, directory, config, names)
        names = sorted(os.listdir(directory))
    return _without_orphaned_indexes(files, directory, names)


def _tidy(files: Files, directory: str, config: LogConfig, names: list[str]) -> None:
    cleaned = [name for name in names if name.endswith(CLEANED)]
    begun = min((base_offset_of(name) or 0 for name in cleaned), default=None)
    swapped = [name for name in names if name.endswith(SWAP)]
    invalid = [name for name in swapped if begun is not None and (base_offset_of(name) or 0) >= begun]
    deleted = [name for name in names if name.endswith(DELETED) and not name.endswith(RAFT_DELETED)]
    temporary = [name for name in names if name.endswith(TEMPORARY)]
    _unlink(files, directory, [*deleted, *cleaned, *invalid, *temporary])
    valid = sorted(set(swapped) - set(invalid))
    if valid:
        _finish_swap(files, directory, valid, config)


def _finish_swap(files: Files, directory: str, swapped: list[str], config: LogConfig) -> None:
    spans = [_span(files, directory, name, config) for name in swapped if name.endswith(".log" + SWAP)]
    if spans:
        first, end = min(span[0] for span in spans), max(span[1] for span in spans)
        replaced = [
            name for name in sorted(os.listdir(directory)) if not name.endswith(SWAP) and _is_within(name, first, end)
        ]
        _unlink(files, directory, replaced)
    for name in swapped:
        logger.warning("Finishing the interrupted replacement of %s/%s", directory, name.removesuffix(SWAP))
        files.rename(f"{directory}/{name}", f"{directory}/{name.removesuffix(SWAP)}")


def _span(files: Files, directory: str, name: str, config: LogConfig) -> tuple[int, int]:
    """The base offset of a swapped segment and the offset behind its last batch."""
    base_offset = base_offset_of(name) or 0
    path = f"{directory}/{name}"
    segment = LogSegment(files, directory, base_offset, config, 0, os.stat(path).st_size)
    segment.use_file(LogFile(files, path))
    end = base_offset
    for batch in segment.batches(0):
        end = batch.last_offset + 1
    return base_offset, end


def _is_within(name: str, first: int, end: int) -> bool:
    offset = base_offset_of(name)
    return offset is not None and first <= offset < end


def _without_orphaned_indexes(files: Files, directory: str, names: list[str]) -> list[str]:
    known = set(names)
    orphans = [name for name in names if name.endswith(INDEXES) and f"{name[:DIGITS]}.log" not in known]
    _unlink(files, directory, orphans)
    return [name for name in names if name not in orphans]


def _unlink(files: Files, directory: str, names: Iterable[str]) -> None:
    for name in names:
        logger.info("Removing %s/%s, left by an interrupted operation", directory, name)
        files.unlink(f"{directory}/{name}")
