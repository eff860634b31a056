"""Key → its latest offset in bounded memory: 24 bytes an entry, the key's MD5 and the offset. (SkimpyOffsetMap)

Two keys with the same hash would count as one; with 128 bits that does not happen. In front of the table is a small
dict of the keys seen last: it saves most of the hashing where keys repeat.
"""

from collections.abc import Sequence
from hashlib import md5
from struct import Struct

ENTRY_SIZE = 24
HASH_SIZE = 16
NOT_FOUND = -1
# The dict's bounds: keys, and bytes of keys.
RECENT_KEYS = 50_000
RECENT_BYTES = 16 * 1024 * 1024
_OFFSET = Struct(">q")
_FREE = bytes(ENTRY_SIZE)


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
        self._recent: dict[bytes, int] = {}
        self._recent_bytes = 0
        # Whether the dict knows better than the table.
        self._is_ahead = False

    def __len__(self) -> int:
        self._settle()
        return self._count

    def put(self, key: bytes, offset: int) -> bool:
        """False when the map is full: then nothing changes, whether the key is in it or not."""
        self._settle()
        self._recent.clear()
        if self._count >= self.capacity:
            return False
        self._store(key, offset)
        self.latest_offset = offset
        return True

    def put_all(self, pairs: Sequence[tuple[bytes, int]]) -> bool:
        """All of them, in ascending order of offsets; False when not all may find room: then nothing changes."""
        if self._count + len(self._recent) + len(pairs) > self.capacity:
            self._settle()
            self._recent.clear()
            if self._count + len(pairs) > self.capacity:
                return False
        if not self._is_ahead or len(self._recent) + len(pairs) > RECENT_KEYS or self._recent_bytes > RECENT_BYTES:
            self._settle()
            self._recent.clear()
            self._recent_bytes = 0
        self._recent.update(pairs)
        self._recent_bytes += sum([len(key) for key, _ in pairs])
        self._is_ahead = True
        return True

    def get(self, key: bytes) -> int:
        """The latest offset of `key`, -1 when it is not in the map."""
        offset = self._recent.get(key)
        if offset is None:
            offset = self._look_up(key)
        return offset

    def _look_up(self, key: bytes) -> int:
        self._settle()
        offset = NOT_FOUND
        position = self._find(md5(key).digest())
        if not self._table.startswith(_FREE, position):
            offset = _OFFSET.unpack_from(self._table, position + HASH_SIZE)[0]
        if len(self._recent) >= RECENT_KEYS or self._recent_bytes > RECENT_BYTES:
            self._recent.clear()
            self._recent_bytes = 0
        self._recent[key] = offset
        self._recent_bytes += len(key)
        return offset

    def _settle(self) -> None:
        """Writes the dict into the table."""
        if self._is_ahead:
            self._is_ahead = False
            for key, offset in self._recent.items():
                self._store(key, offset)

    def _store(self, key: bytes, offset: int) -> None:
        digest = md5(key).digest()
        position = self._find(digest)
        table = self._table
        if table.startswith(_FREE, position):
            table[position : position + HASH_SIZE] = digest
            self._count += 1
        _OFFSET.pack_into(table, position + HASH_SIZE, offset)

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
