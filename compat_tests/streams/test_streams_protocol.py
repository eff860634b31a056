"""Kafka Streams' WordCountDemo on the streams protocol (KIP-1071) with exactly_once_v2."""

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from compat_tests.streams.word_count import Application, Counts, create_topics, running, say

SETTINGS = {"group_protocol": "streams", "commit_interval_ms": "100"}


@pytest.mark.timeout(240)
def test_two_instances_count_exactly_once(bootstrap: str, group: str, tmp_path: Path) -> None:
    """One leaves, the other goes on with its tasks: every count is written once, and in order."""
    create_topics(bootstrap, partitions=2)
    first = Application(bootstrap, group, tmp_path / "first", **SETTINGS)
    second = Application(bootstrap, group, tmp_path / "second", **SETTINGS)
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
