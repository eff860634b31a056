"""Durations as java.time.Duration.parse reads them: the values are its own."""

import pytest

from pykbroker.config.iso_duration import parse_duration

MS = 1_000_000
HOUR = 3_600_000 * MS


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("PT1.001S", 1001 * MS),
        ("PT1,5S", 1500 * MS),
        ("PT1.S", 1000 * MS),
        ("pt0.0005S", MS // 2),
        ("PT-0.5S", -MS * 500),
        ("+PT1H", HOUR),
        ("-PT1H", -HOUR),
        ("-PT-1H", HOUR),
        ("PT1H-30M", HOUR // 2),
        ("P+1DT+2H", 26 * HOUR),
        ("P99999999999999D", 99999999999999 * 24 * HOUR),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "1H", "PT.5S", "PT1.1234567891S", "PT١S", " PT1H", "PT1H ", "P999999999999999D"]
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
