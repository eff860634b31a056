"""The rate of copies: Kafka's rate over windows (ReplicationQuotaManager, SimpleRate)."""

import pytest

from pykbroker.replica.replication_quota import ReplicationQuota


def quota(rate: float, windows: int = 11) -> ReplicationQuota:
    return ReplicationQuota(rate, windows=windows, window_seconds=1)


def test_below_the_rate_nobody_rests() -> None:
    quota_ = quota(1000)
    assert quota_.rest(5.0) == 0
    for second in range(30):
        quota_.record(500, 5.0 + second)
        assert quota_.rest(5.0 + second) == 0


def test_the_first_window_counts_as_a_whole_one() -> None:
    quota_ = quota(1000)
    quota_.record(1000, 0.0)
    assert quota_.rest(0.1) == 0
    quota_.record(1, 0.1)
    assert quota_.rest(0.1) == pytest.approx(0.001)


def test_rests_end_soon_enough_for_another_rate() -> None:
    quota_ = quota(1000)
    quota_.record(5000, 0.0)
    assert quota_.rest(0.0) == 1
    assert quota_.rest(4.5) == pytest.approx(0.5)
    assert quota_.rest(5.0) == 0
    quota_.rate = 100
    assert quota_.rest(5.0) == 1
    quota_.rate = 1e9
    assert quota_.rest(0.0) == 0


def test_what_is_older_than_the_windows_is_forgotten() -> None:
    quota_ = quota(0, windows=3)
    assert quota_.rest(0.0) == 0, "Kafka lets something pass each time the windows are empty"
    quota_.record(1, 0.0)
    assert [quota_.rest(now) for now in (0.0, 2.9)] == [1, 1]
    assert quota_.rest(3.0) == 0


@pytest.mark.parametrize("piece", [10, 1000, 30_000])
def test_in_the_long_run_the_rate_is_kept(piece: int) -> None:
    quota_ = quota(10_000)
    now, copied = 0.0, 0
    while now < 60:
        quota_.record(piece, now)
        copied += piece
        now += 0.0005
        while (seconds := quota_.rest(now)) > 0:
            now += seconds
    assert copied / 60 == pytest.approx(10_000, rel=0.15)
