"""The table of a bench run: medians, ratios, verdicts."""

import pytest

from tools.bench.report import table, verdict

TARGETS = {"start: s": "≤ 0.4 s", "CPU": "≤ 1.0", "speed": "≥ 0.7"}


def test_the_median_counts_and_the_ratio_is_ours_to_theirs() -> None:
    results = {"ours": {"CPU": [1.0, 9.0, 2.0], "speed": [20_000.0]}, "kafka": {"CPU": [4.0], "speed": [40_000.0]}}
    head, cpu, speed = table(results, TARGETS).splitlines()
    assert head.split()[-4:] == ["ours", "kafka", "ratio", "target"]
    assert cpu.split() == ["CPU", "2", "4", "0.50", "≤", "1.0", "reached"]
    assert speed.split() == ["speed", "20,000", "40,000", "0.50", "≥", "0.7", "missed"]


def test_one_broker_has_no_ratio() -> None:
    _, cpu, start = table({"ours": {"CPU": [1.0], "start: s": [0.3]}}, TARGETS).splitlines()
    assert cpu.split() == ["CPU", "1", "≤", "1.0"]
    assert start.split() == ["start:", "s", "0.3", "≤", "0.4", "s", "reached"]


@pytest.mark.parametrize(
    ("target", "ours", "ratio", "expected"),
    [
        ("≤ 1.0", 50.0, 1.0, "reached"),
        ("≤ 1.0", 0.5, 1.01, "missed"),
        ("≥ 1.0", 0.5, 1.01, "reached"),
        ("≤ 50 MB", 50.5, 0.1, "missed"),
        ("≤ 1.0", 0.5, None, ""),
    ],
)
def test_verdicts(target: str, ours: float, ratio: float | None, expected: str) -> None:
    assert verdict(target, ours, ratio) == expected
