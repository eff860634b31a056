"""What truncations and moves do to it."""

from pykbroker.log.cleaning_state import CleaningState


def test_a_truncation_makes_what_follows_dirty() -> None:
    state = CleaningState()
    state.truncated(5)
    assert (state.first_dirty_offset, state.generation) == (None, 1)
    state.first_dirty_offset = 10
    state.truncated(12)
    assert state.first_dirty_offset == 10
    state.truncated(7)
    assert (state.first_dirty_offset, state.generation) == (7, 3)
    state.void()
    assert state.generation == 4


def test_a_moved_log_is_as_clean_as_before() -> None:
    state, moved = CleaningState(), CleaningState()
    state.first_dirty_offset, state.is_uncleanable = 4, True
    moved.moved_from(state)
    assert (moved.first_dirty_offset, moved.is_uncleanable, moved.generation) == (4, True, 0)
