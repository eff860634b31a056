"""Seeded mutations of bytes: what broken clients, broken networks and attackers make of a frame."""

import random
from collections.abc import Callable, Sequence

# What a length or count could be replaced by: maxima, minima, neighbours; int16, int32, int64 and varint.
LIES = [
    bytes.fromhex(text)
    for text in (
        *("7fffffff", "80000000", "ffffffff", "fffffffe", "00000000", "00000001", "0fffffff", "06400000", "aaaaaaaa"),
        *("7fff", "8000", "ffff", "0000", "7fffffffffffffff", "8000000000000000", "ffffffffffffffff"),
        *("ffffffff07", "ffffffff0f", "ffffffffff7f", "ffff7f", "8080808080808080808001", "80", "00", "01", "02", "7f"),
    )
]
MOST_AT_ONCE = 4
LONGEST_PIECE = 64


class Mutator:
    """The same seed gives the same inputs."""

    def __init__(self, seed: int, corpus: Sequence[bytes]) -> None:
        self.random = random.Random(seed)
        self._corpus = corpus
        self._ways: list[Callable[[bytearray], None]] = [
            self._flip_bit,
            self._set_byte,
            self._lie,
            self._lie,
            self._neighbour,
            self._truncate,
            self._cut_out,
            self._duplicate,
            self._splice,
            self._insert,
            self._shuffle,
        ]

    def mutate(self, data: bytes, keep: int = 0) -> bytes:
        """Between one and MOST_AT_ONCE mutations behind the first `keep` bytes."""
        changed = bytearray(data[keep:])
        for _ in range(self.random.randint(1, MOST_AT_ONCE)):
            self.random.choice(self._ways)(changed)
        return data[:keep] + bytes(changed)

    def _at(self, data: bytearray) -> int:
        return self.random.randrange(len(data) + 1)

    def _piece(self, data: bytes | bytearray) -> tuple[int, int]:
        start = self.random.randrange(len(data) + 1)
        return start, min(len(data), start + self.random.randint(1, LONGEST_PIECE))

    def _flip_bit(self, data: bytearray) -> None:
        if data:
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)

    def _set_byte(self, data: bytearray) -> None:
        if data:
            data[self.random.randrange(len(data))] = self.random.randrange(256)

    def _lie(self, data: bytearray) -> None:
        lie = self.random.choice(LIES)
        at = self._at(data)
        data[at : at + len(lie)] = lie

    def _neighbour(self, data: bytearray) -> None:
        """A number becomes one more or one less: counts and lengths that are nearly right."""
        if data:
            at = self.random.randrange(len(data))
            data[at] = (data[at] + self.random.choice((-1, 1))) % 256

    def _truncate(self, data: bytearray) -> None:
        del data[self._at(data) :]

    def _cut_out(self, data: bytearray) -> None:
        start, stop = self._piece(data)
        del data[start:stop]

    def _duplicate(self, data: bytearray) -> None:
        start, stop = self._piece(data)
        data[start:start] = data[start:stop] * self.random.choice((1, 1, 2, 50))

    def _splice(self, data: bytearray) -> None:
        """Goes on as another frame does."""
        other = self.random.choice(self._corpus)
        at = self._at(data)
        data[at:] = other[min(at, len(other)) :]

    def _insert(self, data: bytearray) -> None:
        other = self.random.choice(self._corpus)
        start, stop = self._piece(other)
        at = self._at(data)
        data[at:at] = other[start:stop]

    def _shuffle(self, data: bytearray) -> None:
        start, stop = self._piece(data)
        piece = list(data[start:stop])
        self.random.shuffle(piece)
        data[start:stop] = bytes(piece)
