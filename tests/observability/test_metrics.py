"""Counters by name."""

from pykbroker.observability.metrics import NetworkMetrics


def test_all_counters_start_at_zero_and_are_shown() -> None:
    metrics = NetworkMetrics()
    assert set(metrics.as_dict().values()) == {0}
    metrics.malformed_frames += 2
    assert metrics.as_dict() == {
        "connections_closed": 0,
        "connections_opened": 0,
        "connections_rejected": 0,
        "malformed_frames": 2,
    }
