"""Copies of one partition on disk, batch by batch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pykbroker.record.batch import LOG_OVERHEAD


class Batch(NamedTuple):
    offset: int
    data: bytes

    def __str__(self) -> str:
        return f"{len(self.data)} bytes at offset {self.offset}"


def batches(folder: Path) -> Iterator[Batch]:
    """Of a partition's segments, as they lie there; a file is as long as what was written of it."""
    for path in sorted(folder.glob("*.log")):
        data = path.read_bytes()
        position = 0
        while len(data) - position >= LOG_OVERHEAD:
            size = LOG_OVERHEAD + int.from_bytes(data[position + 8 : position + LOG_OVERHEAD])
            assert len(data) - position >= size, f"{path}: a batch of {size} bytes is cut off at {position}"
            yield Batch(int.from_bytes(data[position : position + 8]), data[position : position + size])
            position += size


def differences(folders: Sequence[Path]) -> list[str]:
    """Nothing where all have the same bytes. Old segments may be gone from one already: only what all have counts."""
    copies = [list(batches(folder)) for folder in folders]
    start = max(copy[0].offset if copy else 0 for copy in copies)
    first, *others = [[batch for batch in copy if batch.offset >= start] for copy in copies]
    found = []
    for folder, other in zip(folders[1:], others, strict=True):
        if len(first) != len(other):
            found.append(f"{folders[0]} has {len(first)} batches, {folder} {len(other)}")
        pairs = zip(first, other, strict=False)
        found += [f"{folders[0]} {one}, {folder} {two}" for one, two in pairs if one != two][:3]
    return found
