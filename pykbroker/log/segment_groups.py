"""Which neighbouring segments are cleaned into one, so that none becomes ever smaller. (groupSegmentsBySize)"""

from collections.abc import Sequence
from typing import NamedTuple

from pykbroker.log.segment import INT32_MAX


class Sizes(NamedTuple):
    """Of one segment, in bytes; `last_offset` may be estimated too high."""

    base_offset: int
    last_offset: int
    log: int
    offset_index: int
    time_index: int


def group_sizes(segments: Sequence[Sizes], segment_bytes: int, index_bytes: int) -> list[list[Sizes]]:
    """Groups in order, together no larger than one segment and one index may be, and offsets within 2³¹."""
    groups: list[list[Sizes]] = []
    log = offset_index = time_index = 0
    for segment in segments:
        log += segment.log
        offset_index += segment.offset_index
        time_index += segment.time_index
        fits = groups and (
            log <= segment_bytes
            and offset_index <= index_bytes
            and time_index <= index_bytes
            # An empty one needs no room, else one would be left over every 2³¹ offsets.
            and (not segment.log or segment.last_offset - groups[-1][0].base_offset <= INT32_MAX)
        )
        if fits:
            groups[-1].append(segment)
            continue
        groups.append([segment])
        log, offset_index, time_index = segment.log, segment.offset_index, segment.time_index
    return groups
