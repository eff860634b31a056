"""Puts cleaned segments in the place of those they were made from, so that a crash leaves all old or all new.

.cleaned → .swap says that the new ones are whole; then the old ones become .deleted; then the new ones take their
names. What is interrupted is finished by leftovers.tidy, or by Kafka. (LocalLog.replaceSegments)
"""

import os
from collections.abc import Sequence

from pykbroker.log.cleaned_segment import SUFFIXES, CleanedSegment
from pykbroker.log.files import Files
from pykbroker.log.leftovers import CLEANED, SWAP
from pykbroker.log.segment import LogSegment, segment_path
from pykbroker.log.unified_log import UnifiedLog


def swap_in(log: UnifiedLog, cleaned: Sequence[CleanedSegment], old: Sequence[LogSegment]) -> list[str]:
    """Both ascending. Returns the .deleted files: they may go once the log's directory is synced. Raises OSError."""
    # The last one first: as long as a .cleaned file is there, a .swap file behind it does not count.
    for segment in reversed(cleaned):
        _rename(log.files, segment, CLEANED, SWAP)
    deleted = [path for segment in old for path in segment.mark_deleted()]
    for segment in cleaned:
        _rename(log.files, segment, SWAP, "")
    now_ms = log.clock.wall_ms()
    new = [LogSegment(log.files, log.directory, one.base_offset, log.config, now_ms, one.size) for one in cleaned]
    log.replace_segments(new, old)
    return deleted


def _rename(files: Files, segment: CleanedSegment, before: str, after: str) -> None:
    for suffix in SUFFIXES:
        name = segment_path(segment.directory, segment.base_offset, suffix)
        # A transaction index is there only when it has entries.
        if suffix != ".txnindex" or os.path.exists(name + before):
            files.rename(name + before, name + after)
