"""Key → its latest offset in bounded memory: 24 bytes an entry, the key's MD5 and the offset. (SkimpyOffsetMap)

Two keys with the same hash would count as one; with 128 bits that does not happen.
"""

from hashlib import md5
from struct import Struct

ENTRY_SIZE = 24
HASH_SIZE = 16
_OFFSET = Struct(">q")
_FREE = bytes(ENTRY_SIZE)
NOT_FOUND = -1


class OffsetMap:
    """Open addressing in one bytearray. `latest_offset` is how far the log was read into the map.

    `capacity`: how many keys it takes; `slots` may be more, so that probes stay few.
    """

    def __init__(self, slots: int, capacity: int) -> None:
        self.slots = slots
        self.capacity = capacity
        self.latest_offset = NOT_FOUND
        self._count = 0
        self._table = bytearray(slots * ENTRY_SIZE)

    def __len__(self) -> int:
        return self._count

    def put(self, key: bytes, offset: int) -> bool:
        """False when the map is full: then nothing changes, whether the key is in it or not."""
        if self._count >= self.capacity:
            return False
        digest = md5(key).digest()
        position = self._find(digest)
        table = self._table
        if table.startswith(_FREE, position):
            table[position : position + HASH_SIZE] = digest
            self._count += 1
        _OFFSET.pack_into(table, position + HASH_SIZE, offset)
        self.latest_offset = offset
        return True

    def get(self, key: bytes) -> int:
        """The latest offset of `key`, -1 when it is not in the map."""
        digest = md5(key).digest()
        table = self._table
        position = int.from_bytes(digest[:4], "big") % self.slots * ENTRY_SIZE
        if not table.startswith(digest, position):
            position = self._find(digest)
            if not table.startswith(digest, position):
                return NOT_FOUND
        offset: int = _OFFSET.unpack_from(table, position + HASH_SIZE)[0]
        return offset

    def _find(self, digest: bytes) -> int:
        """Where the entry of `digest` is, or the free one where it belongs. There is always a free one."""
        table = self._table
        slot = int.from_bytes(digest[:4], "big") % self.slots
        position = slot * ENTRY_SIZE
        while not (table.startswith(digest, position) or table.startswith(_FREE, position)):
            slot = (slot + 1) % self.slots
            position = slot * ENTRY_SIZE
        return position


def map_for(memory: int, load_factor: float, most_keys: int) -> OffsetMap:
    """A map that takes as many keys as Kafka's of `memory` bytes at this load, but is no larger than `most_keys` need.

    Raises ValueError when not even one key fits.
    """
    allowed = int(memory // ENTRY_SIZE * load_factor)
    if allowed < 1:
        raise ValueError(
            "offset map is too small to fit in even a single message, so log cleaning will never make progress. "
            "You can increase log.cleaner.dedupe.buffer.size or decrease log.cleaner.threads"
        )
    capacity = min(allowed, max(most_keys, 1))
    slots = min(memory // ENTRY_SIZE, capacity * 2)
    return OffsetMap(max(slots, capacity + 1), capacity)
