"""The simulation finds bugs that are put back into the code: those that a few seeds are enough for.

All of them: `python -m tests.cluster.mutants`.
"""

import pytest

from tests.cluster.mutants import MUTANTS, first_failure

FEW = 10
SOON_FOUND = [
    "commits below min.insync.replicas (KIP-966)",
    "followers forget producers",
    "no truncation on a diverging epoch (KIP-101)",
    "truncation one record short",
    "truncation to the high watermark (before KIP-101)",
]


@pytest.mark.parametrize("name", SOON_FOUND)
def test_it_is_found(name: str) -> None:
    assert name in MUTANTS
    assert first_failure(name, range(FEW)) is not None
