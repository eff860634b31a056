"""Leader epoch → start offset, kept in leader-epoch-checkpoint. (LeaderEpochFileCache, KIP-101, KIP-279)"""

from bisect import bisect_right

from pykbroker.log.checkpoints import checkpoint_text, read_entries
from pykbroker.log.files import Files

FILE_NAME = "leader-epoch-checkpoint"
UNDEFINED_EPOCH = -1
UNDEFINED_OFFSET = -1


class LeaderEpochFileCache:
    """Ascending (epoch, start offset); written through to the file on every change, and synced with the log's batches:
    an epoch is worth no more than they, and a start gives a new one to each of thousands of partitions."""

    __slots__ = ("_epochs", "_files", "_offsets", "_size", "path", "synced_version", "version")

    def __init__(self, files: Files, directory: str, *, is_new: bool = False) -> None:
        """`is_new`: there is no file yet. Raises CorruptCheckpoint."""
        self._files = files
        self.path = f"{directory}/{FILE_NAME}"
        # Counts the writes of the file; `synced_version` is the last one known to be on disk.
        self.version = self.synced_version = 0
        self._epochs: list[int] = []
        self._offsets: list[int] = []
        for epoch, offset in () if is_new else read_entries(files, self.path, _parse):
            self._insert(epoch, offset)
        # Bytes of the file.
        self._size = len(checkpoint_text(f"{epoch} {offset}" for epoch, offset in self.entries)) if self._epochs else 0

    @property
    def entries(self) -> list[tuple[int, int]]:
        return list(zip(self._epochs, self._offsets, strict=True))

    def latest_epoch(self) -> int | None:
        return self._epochs[-1] if self._epochs else None

    def assign(self, epoch: int, start_offset: int) -> None:
        """Notes that `epoch` begins at `start_offset`, unless it is the latest already."""
        if self._insert(epoch, start_offset):
            self.flush()

    def _insert(self, epoch: int, start_offset: int) -> bool:
        if epoch < 0 or start_offset < 0 or self._is_known(epoch, start_offset):
            return False
        # A later entry that contradicts this one is of a history that was cut off.
        while self._epochs and (self._epochs[-1] >= epoch or self._offsets[-1] >= start_offset):
            self._epochs.pop()
            self._offsets.pop()
        self._epochs.append(epoch)
        self._offsets.append(start_offset)
        return True

    def _is_known(self, epoch: int, start_offset: int) -> bool:
        return bool(self._epochs) and self._epochs[-1] == epoch and self._offsets[-1] <= start_offset

    def epoch_for_offset(self, offset: int) -> int | None:
        """The epoch in which the record at `offset` was written."""
        index = bisect_right(self._offsets, offset) - 1
        return self._epochs[index] if index >= 0 else None

    def end_offset_for(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """(largest epoch not above the asked one, its end offset); (-1, -1) when undefined (endOffsetFor)."""
        if epoch == UNDEFINED_EPOCH:
            return UNDEFINED_EPOCH, UNDEFINED_OFFSET
        latest = self.latest_epoch()
        if latest is None:
            return UNDEFINED_EPOCH, UNDEFINED_OFFSET
        if epoch == latest:
            return epoch, log_end_offset
        index = bisect_right(self._epochs, epoch)
        if index == len(self._epochs):
            # Newer than anything known here.
            return UNDEFINED_EPOCH, UNDEFINED_OFFSET
        if index == 0:
            return epoch, self._offsets[0]
        return self._epochs[index - 1], self._offsets[index]

    def truncate_from_end(self, end_offset: int) -> None:
        """Drops epochs that begin at or behind `end_offset`."""
        if not self._offsets or self._offsets[-1] < end_offset:
            return
        while self._offsets and self._offsets[-1] >= end_offset:
            self._epochs.pop()
            self._offsets.pop()
        self.flush()

    def truncate_from_start(self, start_offset: int) -> None:
        """Drops epochs that end before `start_offset`; the one that holds it now begins there."""
        index = bisect_right(self._offsets, start_offset) - 1
        if index < 0 or (index == 0 and self._offsets[0] == start_offset):
            return
        del self._epochs[:index]
        del self._offsets[:index]
        self._offsets[0] = start_offset
        self.flush()

    def clear(self) -> None:
        self._epochs.clear()
        self._offsets.clear()
        self.flush()

    @property
    def is_synced(self) -> bool:
        return self.synced_version == self.version

    def flush(self) -> None:
        """Raises OSError."""
        content = checkpoint_text(f"{epoch} {offset}" for epoch, offset in self.entries)
        if len(content) >= self._size:
            self._files.overwrite(self.path, content)
        else:
            self._files.write_atomically(self.path, content, sync=False)
        self._size = len(content)
        self.version += 1


def _parse(line: str) -> tuple[int, int]:
    epoch, offset = line.split()
    return int(epoch), int(offset)
