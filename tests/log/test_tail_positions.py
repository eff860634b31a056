"""Where the last batches lie: exact, or not known."""

from pykbroker.log.tail_positions import CAPACITY, TailPositions

SIZE = 10


def filled(batches: int, start: int = 0) -> TailPositions:
    """Batches of two records and ten bytes, from offset and position `start` times two and ten on."""
    tail = TailPositions()
    for number in range(start, start + batches):
        tail.add(2 * number + 1, SIZE * number)
    return tail


def test_every_offset_leads_to_its_batch() -> None:
    tail = filled(5)
    for offset in range(10):
        assert tail.find(offset, 50) == (offset // 2 * SIZE, SIZE)


def test_the_last_batch_ends_where_the_file_does() -> None:
    assert filled(5).find(9, 47) == (40, 7)


def test_nothing_is_known() -> None:
    assert TailPositions().find(0, 0) is None
    assert filled(5).find(10, 50) is None


def test_what_lies_before_the_first_known_batch_is_unknown() -> None:
    """Also the first itself: it may begin before, in a batch of which only the end is known."""
    tail = filled(3, start=4)
    assert tail.find(7, 70) is None
    assert tail.find(9, 70) is None
    assert tail.find(10, 70) == (50, SIZE)


def test_only_the_latest_are_kept() -> None:
    tail = filled(3 * CAPACITY)
    end = 3 * CAPACITY
    known = [number for number in range(end) if tail.find(2 * number, end * SIZE) is not None]
    assert known == list(range(known[0], end))
    assert CAPACITY // 2 - 1 <= len(known) <= CAPACITY
    assert tail.find(2 * known[0], end * SIZE) == (known[0] * SIZE, SIZE)


def test_clear() -> None:
    tail = filled(3)
    tail.clear()
    assert tail.find(0, 30) is None
    tail.add(1, 0)
    assert tail.find(0, 10) == (0, 10)
