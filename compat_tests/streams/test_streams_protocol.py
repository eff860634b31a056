"""Kafka Streams' WordCountDemo on the streams protocol (KIP-1071) with exactly_once_v2, and kafka-streams-groups."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from compat_tests.brokers import oracle, pykbroker
from compat_tests.java.test_java_tools import CONFIGS
from compat_tests.java.tools import run
from compat_tests.streams.word_count import INPUT, Application, Counts, create_topics, running, say

GROUPS = "org.apache.kafka.tools.streams.StreamsGroupCommand"
SETTINGS = {"group_protocol": "streams", "commit_interval_ms": "100"}
LINES = [f"all streams lead to kafka number{i % 7}" for i in range(40)]
WORDS = Counter(" ".join(LINES).split())
# Sessions and heartbeats as short as members of other tests would not bear.
BROKER = (
    "group.streams.min.session.timeout.ms=1000",
    "group.streams.session.timeout.ms=6000",
    "group.streams.min.heartbeat.interval.ms=100",
    "group.streams.heartbeat.interval.ms=500",
)


@pytest.fixture(scope="module")
def bootstrap(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.config.getoption("--bootstrap"):
        pytest.skip("sessions of a broker that is given last too long")
    if request.config.getoption("--oracle"):
        with oracle(*BROKER) as address:
            yield address
    else:
        with pykbroker(tmp_path_factory.mktemp("broker") / "data", *BROKER) as broker:
            yield broker.bootstrap


def tool(bootstrap: str, *arguments: str) -> str:
    return run(GROUPS, "--bootstrap-server", bootstrap, *arguments)


def twice(words: Counter[str]) -> Counter[str]:
    return Counter({word: 2 * count for word, count in words.items()})


@pytest.mark.timeout(240)
def test_two_instances_count_exactly_once_and_the_group_command(bootstrap: str, group: str, tmp_path: Path) -> None:
    """One leaves, the other goes on with its tasks: every count is written once, and in order."""
    create_topics(bootstrap, partitions=2)
    first = Application(bootstrap, group, tmp_path / "first", **SETTINGS)
    second = Application(bootstrap, group, tmp_path / "second", **SETTINGS)
    with closing(Counts(bootstrap)) as counts, running(first, second):
        first.await_log("to RUNNING")
        second.await_log("to RUNNING")
        say(bootstrap, LINES)
        counts.await_words(WORDS)
        described = tool(bootstrap, "--describe", "--group", group, "--members", "--verbose")
        assert sorted(re.findall(r"(?<!-)ACTIVE: 0:\[(\d)\]; 1:\[\1\]", described)) == ["0", "1"], described
        assert len(re.findall(rf"^{group}\s", described, re.MULTILINE)) == 2, described
        described = tool(bootstrap, "--describe", "--group", group)
        assert sorted(re.findall(rf"^{group}\s+{INPUT}\s+(\d)\s+0$", described, re.MULTILINE)) == ["0", "1"], described
        assert "Stable" in tool(bootstrap, "--describe", "--group", group, "--state")
        assert "is not EMPTY" in tool(bootstrap, "--delete", "--group", group)
        first.stop()
        say(bootstrap, LINES)
        counts.await_words(twice(WORDS))
        second.stop()
    the_empty_group(bootstrap, group)


def the_empty_group(bootstrap: str, group: str) -> None:
    """Its offsets are reset and deleted, then it goes with its internal topics."""
    assert group in tool(bootstrap, "--list").split()
    assert re.search(rf"^{group}\s+Empty", tool(bootstrap, "--list", "--state", "empty"), re.MULTILINE)
    reset = ("--reset-offsets", "--group", group, "--input-topic", INPUT)
    half = str(len(LINES))  # of both rounds, in each of two partitions
    assert offsets(tool(bootstrap, *reset, "--to-current", "--dry-run"), group) == {"0": half, "1": half}
    assert offsets(tool(bootstrap, *reset, "--to-earliest", "--execute"), group) == {"0": "0", "1": "0"}
    assert offsets(tool(bootstrap, *reset, "--to-current", "--dry-run"), group) == {"0": "0", "1": "0"}
    tool(bootstrap, "--delete-offsets", "--group", group, "--input-topic", INPUT)
    deleted = tool(bootstrap, "--delete", "--group", group, "--delete-all-internal-topics")
    assert "successful" in deleted, deleted
    assert group not in tool(bootstrap, "--list").split()
    left = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=30).topics
    assert not [name for name in left if name.startswith(group)]


def offsets(printed: str, group: str) -> dict[str, str]:
    """Of the input topic, by partition, as --reset-offsets prints them."""
    return dict(re.findall(rf"^{group}\s+{INPUT}\s+(\d)\s+(\d+)\s*$", printed, re.MULTILINE))


@pytest.mark.timeout(240)
def test_an_instance_crashes(bootstrap: str, group: str, tmp_path: Path) -> None:
    """Its session ends, and its standby goes on where its last transaction was committed."""
    create_topics(bootstrap, partitions=2)
    group_config = ("--alter", "--entity-type", "groups", "--entity-name", group)
    run(CONFIGS, "--bootstrap-server", bootstrap, *group_config, "--add-config", "streams.num.standby.replicas=1")
    first = Application(bootstrap, group, tmp_path / "first", **SETTINGS)
    second = Application(bootstrap, group, tmp_path / "second", **SETTINGS)
    with closing(Counts(bootstrap)) as counts, running(first, second):
        first.await_log("to RUNNING")
        second.await_log("to RUNNING")
        say(bootstrap, LINES)
        counts.await_words(WORDS)
        await_standbys(bootstrap, group)
        first.kill()
        say(bootstrap, LINES)
        counts.await_words(twice(WORDS), seconds=120)
        second.stop()


def await_standbys(bootstrap: str, group: str) -> None:
    deadline = time.monotonic() + 60
    while "STANDBY" not in (told := tool(bootstrap, "--describe", "--group", group, "--members")):
        assert time.monotonic() < deadline, told
