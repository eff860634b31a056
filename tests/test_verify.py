"""Invariants are checked where PYKBROKER_VERIFY is set, and cost nothing elsewhere."""

import pytest

from pykbroker import verify


def test_a_broken_invariant_is_named_where_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "ENABLED", True)
    verify.check(True, "offsets grow")
    with pytest.raises(AssertionError, match="invariant broken: offsets grow"):
        verify.check(False, "offsets grow")


def test_nothing_is_checked_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "ENABLED", False)
    verify.check(False, "offsets grow")


def test_our_tests_check_all_invariants() -> None:
    assert verify.ENABLED
