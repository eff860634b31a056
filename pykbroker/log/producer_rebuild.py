"""Brings the producers' state up to an offset by replaying batches. (UnifiedLog.rebuildProducerState)"""

from collections.abc import Sequence

from pykbroker.log.producer_state import ProducerStateManager
from pykbroker.log.segment import LogSegment


def catch_up(producers: ProducerStateManager, segments: Sequence[LogSegment], end_offset: int) -> None:
    """Replays what lies between the state's end and `end_offset`. The transaction indexes are right already."""
    start = producers.map_end_offset
    if start < end_offset:
        first = sum(segment.base_offset <= start for segment in segments) - 1
        for segment in segments[max(first, 0) :]:
            if segment.base_offset < end_offset:
                _replay(producers, segment, start, end_offset)
    producers.map_end_offset = end_offset


def _replay(producers: ProducerStateManager, segment: LogSegment, start: int, end: int) -> None:
    for batch in segment.batches_from(start):
        if batch.base_offset >= end:
            return
        header = batch.header
        if header is not None and header.has_producer_id and batch.base_offset >= start:
            producers.replay(header, segment.read(batch.position, batch.size) if header.is_control else b"")
