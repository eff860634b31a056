"""ConnectionLimits: KIP-402, KIP-612."""

import pytest

from pykbroker.network.connection_limits import ConnectionLimits, parse_overrides


def test_total() -> None:
    limits = ConnectionLimits(total=2)
    woken: list[bool] = []
    assert limits.admit("a")
    assert not limits.is_full
    assert limits.admit("b")
    assert limits.is_full
    limits.when_free(lambda: woken.append(True))
    limits.forget("a")
    assert woken == [True]
    assert not limits.is_full
    limits.forget("b")
    assert woken == [True]
    assert limits.count == 0


def test_per_address_with_overrides() -> None:
    limits = ConnectionLimits(per_ip=1, per_ip_overrides={"10.0.0.1": 2, "10.0.0.9": 0})
    assert limits.admit("10.0.0.1")
    assert limits.admit("10.0.0.1")
    assert not limits.admit("10.0.0.1")
    assert limits.admit("10.0.0.2")
    assert not limits.admit("10.0.0.2")
    assert not limits.admit("10.0.0.9")
    limits.forget("10.0.0.2")
    assert limits.admit("10.0.0.2")


def test_creation_rate() -> None:
    limits = ConnectionLimits(creation_rate=2)
    assert limits.pause_before_accepting(100.0) == 0
    assert limits.pause_before_accepting(100.0) == 0
    assert limits.pause_before_accepting(100.0) == 0.5
    assert limits.pause_before_accepting(100.0) == 1.0
    assert limits.pause_before_accepting(103.0) == 0
    assert ConnectionLimits().pause_before_accepting(0.0) == 0


def test_overrides_are_parsed() -> None:
    assert parse_overrides("") == {}
    assert parse_overrides("127.0.0.1:5, ::1:7") == {"127.0.0.1": 5, "::1": 7}
    for bad in ("127.0.0.1", "a:b", ":5"):
        with pytest.raises(ValueError, match="ip:count"):
            parse_overrides(bad)


def test_other_limits_hold_for_the_connections_to_come() -> None:
    limits = ConnectionLimits(total=1)
    woken: list[bool] = []
    assert limits.admit("a")
    limits.when_free(lambda: woken.append(True))
    limits.change(3, 1, {"a": 2}, 10)
    assert woken == [True]
    assert limits.admit("a")
    assert not limits.admit("a")
    assert limits.admit("b")
    assert limits.is_full
    assert [limits.pause_before_accepting(0.0) for _ in range(11)][-1] == pytest.approx(0.1)
    limits.change(1, 1, {}, 10)
    assert limits.count == 3
    limits.forget("a")
    assert limits.is_full
