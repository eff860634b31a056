"""Kafka Streams' WordCountDemo on the classic protocol with exactly_once_v2."""

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from compat_tests.streams.word_count import Application, Counts, create_topics, running, say


@pytest.mark.timeout(180)
def test_two_instances_count_exactly_once(bootstrap: str, group: str, tmp_path: Path) -> None:
    """One ends, the other goes on with its tasks: every count is written once, and in order."""
    create_topics(bootstrap, partitions=2)
    # It does not say goodbye to a classic group: its session must end.
    settings = {"commit_interval_ms": "100", "session_timeout_ms": "6000", "heartbeat_interval_ms": "500"}
    first = Application(bootstrap, group, tmp_path / "first", **settings)
    second = Application(bootstrap, group, tmp_path / "second", **settings)
    lines = [f"all streams lead to kafka number{i % 7}" for i in range(40)]
    expected: Counter[str] = Counter()
    with closing(Counts(bootstrap)) as counts, running(first, second):
        first.await_log("to RUNNING")
        second.await_log("to RUNNING")
        say(bootstrap, lines)
        expected.update(" ".join(lines).split())
        counts.await_words(expected)
        first.stop()
        say(bootstrap, lines)
        expected.update(" ".join(lines).split())
        counts.await_words(expected)
        second.stop()
