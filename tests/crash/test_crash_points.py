"""Seeded lives from crash to crash; more of them by hand, see tests.crash.world."""

import pytest

from tests.crash.world import run


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_that_was_promised_is_lost(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """A failure names the seed, and how many points in: `python -m tests.crash.world --seed S --points N`."""
    caplog.set_level("CRITICAL")
    crashed_at = run(seed, 20)
    assert crashed_at.total() >= 20
