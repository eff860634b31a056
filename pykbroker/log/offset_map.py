"""Key → its latest offset in bounded memory: 24 bytes an entry, the key's MD5 and the offset. (SkimpyOffsetMap)

Two keys with the same hash would count as one; with 128 bits that does not happen. In front of the table is a dict of a
quarter of the memory: where all keys find room in it, nothing is hashed, and there is no table at all.
"""

from collections.abc import Collection, Iterable, Sequence
from hashlib import md5
from struct import Struct

ENTRY_SIZE = 24
HASH_SIZE = 16
NOT_FOUND = -1
# What an entry of the dict takes beside the bytes of its key: two objects and its part of the dict's own table.
DICT_ENTRY_SIZE = 130
DICT_SHARE = 4
_OFFSET = Struct(">q")
_OFFSETS = Struct(">16xq")
_FREE = bytes(ENTRY_SIZE)


class OffsetMap:
    """A dict, then open addressing in one bytearray. `latest_offset` is how far the log was read into the map.

    `capacity`: how many keys it takes; `slots` may be more, so that probes stay few. `dict_bytes`: what the dict may
    take of the memory.
    """

    def __init__(self, slots: int, capacity: int, dict_bytes: int) -> None:
        self.slots = slots
        self.capacity = capacity
        self.latest_offset = NOT_FOUND
        self._count = 0
        # Entries hold the offset + 1: 0 is that of a free one. Empty until the dict is full for the first time.
        self._table = bytearray()
        self._dict: dict[bytes, int] = {}
        self._dict_limit = dict_bytes
        self._dict_bytes = 0
        # Whether the dict knows better than the table.
        self._is_ahead = True

    def __len__(self) -> int:
        if not self._table:
            return len(self._dict)
        self._settle()
        return self._count

    def put(self, key: bytes, offset: int) -> bool:
        """False when the map is full: then nothing changes, whether the key is in it or not."""
        if len(self) >= self.capacity:
            return False
        self.put_all((key,), (offset,))
        self.latest_offset = offset
        return True

    def put_all(self, keys: Sequence[bytes], offsets: Iterable[int]) -> bool:
        """Each key with its offset, in ascending order; False when not all may find room: then nothing changes."""
        if self._count + len(self._dict) + len(keys) > self.capacity and len(self) + len(keys) > self.capacity:
            return False
        if not self._is_ahead or self._dict_bytes > self._dict_limit:
            self._settle()
            self._empty_dict()
            self._is_ahead = True
        known = len(self._dict)
        self._dict.update(zip(keys, offsets, strict=True))
        if len(self._dict) > known:
            self._dict_bytes += (len(self._dict) - known) * (DICT_ENTRY_SIZE + max(map(len, keys)))
        return True

    def get(self, key: bytes) -> int:
        """The latest offset of `key`, -1 when it is not in the map."""
        offset = self._dict.get(key)
        if offset is None:
            offset = self._look_up(key) if self._table else NOT_FOUND
        return offset

    def has_none_of(self, keys: Collection[bytes]) -> bool:
        if not self._table:
            return self._dict.keys().isdisjoint(keys)
        return all(self.get(key) == NOT_FOUND for key in keys)

    def offsets(self) -> Iterable[int]:
        """Of all keys, in no order."""
        if not self._table:
            return self._dict.values()
        self._settle()
        return (after - 1 for (after,) in _OFFSETS.iter_unpack(self._table) if after)

    def _look_up(self, key: bytes) -> int:
        self._settle()
        # A free entry says -1 by itself.
        found: int = _OFFSET.unpack_from(self._table, self._find(md5(key).digest()) + HASH_SIZE)[0] - 1
        if self._dict_bytes > self._dict_limit:
            self._empty_dict()
        self._dict[key] = found
        self._dict_bytes += DICT_ENTRY_SIZE + len(key)
        return found

    def _empty_dict(self) -> None:
        self._dict = {}
        self._dict_bytes = 0

    def _settle(self) -> None:
        """Writes the dict into the table."""
        if not self._is_ahead:
            return
        self._is_ahead = False
        if not self._table:
            self._table = bytearray(self.slots * ENTRY_SIZE)
        table, find = self._table, self._find
        for key, offset in self._dict.items():
            digest = md5(key).digest()
            position = find(digest)
            if table.startswith(_FREE, position):
                table[position : position + HASH_SIZE] = digest
                self._count += 1
            _OFFSET.pack_into(table, position + HASH_SIZE, offset + 1)

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
    return OffsetMap(max(slots, capacity + 1), capacity, memory // DICT_SHARE)
