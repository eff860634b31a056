"""BufferPool: size classes, reuse, trimming."""

from pykbroker.network.buffer_pool import LARGEST_KEPT, SMALL, BufferPool, capacity_for


def test_size_classes() -> None:
    assert capacity_for(1) == SMALL
    assert capacity_for(SMALL) == SMALL
    assert capacity_for(SMALL + 1) == 2 * SMALL
    assert capacity_for(LARGEST_KEPT) == LARGEST_KEPT
    assert capacity_for(LARGEST_KEPT + 1) == LARGEST_KEPT + 1


def test_a_buffer_comes_back() -> None:
    pool = BufferPool()
    buffer = pool.take(SMALL)
    pool.give(buffer)
    assert pool.free_bytes == SMALL
    assert pool.take(SMALL) is buffer
    assert pool.free_bytes == 0


def test_odd_and_very_large_buffers_are_not_kept() -> None:
    pool = BufferPool()
    pool.give(memoryview(bytearray(100)))
    pool.give(pool.take(LARGEST_KEPT + 1))
    assert pool.free_bytes == 0


def test_what_is_kept_is_bounded() -> None:
    pool = BufferPool()
    for buffer in [pool.take(LARGEST_KEPT) for _ in range(20)]:
        pool.give(buffer)
    assert pool.free_bytes <= 2 * LARGEST_KEPT


def test_trim_drops_what_nobody_needed() -> None:
    pool = BufferPool()
    buffers = [pool.take(SMALL) for _ in range(10)]
    for buffer in buffers:
        pool.give(buffer)
    pool.trim()
    assert pool.free_bytes == 10 * SMALL
    pool.give(pool.take(SMALL))
    pool.trim()
    assert pool.free_bytes == SMALL
    pool.trim()
    assert pool.free_bytes == 0
