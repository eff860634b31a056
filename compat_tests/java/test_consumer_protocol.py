"""Kafka's own consumers with group.protocol=consumer (KIP-848): console consumer and group command; VerifiableConsumer
by either protocol."""

import json
import subprocess

import pytest

from compat_tests.java.test_java_tools import CONSUMER, GROUPS, PRODUCER, topics
from compat_tests.java.tools import command, run

VERIFIABLE = "org.apache.kafka.tools.VerifiableConsumer"


@pytest.mark.timeout(240)
def test_console_consumer_and_the_group_command(bootstrap: str, topic: str, group: str) -> None:
    lines = [f"line {i}" for i in range(100)]
    topics(bootstrap, "--create", "--topic", topic, "--partitions", "3")
    run(PRODUCER, "--bootstrap-server", bootstrap, "--topic", topic, stdin="".join(f"{line}\n" for line in lines))
    arguments = ["--bootstrap-server", bootstrap, "--group", group, "--from-beginning", "--timeout-ms", "30000"]
    arguments += ["--consumer-property", "group.protocol=consumer", "--max-messages", "100"]
    output = run(CONSUMER, "--include", f"{topic}|none-such", *arguments)
    assert sorted(line for line in output.splitlines() if line.startswith("line ")) == sorted(lines)
    described = run(GROUPS, "--bootstrap-server", bootstrap, "--describe", "--group", group, "--offsets")
    assert [line.split()[5] for line in described.splitlines() if line.split()[1:2] == [topic]] == ["0", "0", "0"]
    state = run(GROUPS, "--bootstrap-server", bootstrap, "--describe", "--group", group, "--state")
    assert "Empty" in state
    listed = run(GROUPS, "--bootstrap-server", bootstrap, "--list", "--type", "consumer")
    assert group in listed
    run(GROUPS, "--bootstrap-server", bootstrap, "--delete", "--group", group)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "protocol",
    [
        ["--group-protocol", "consumer", "--group-remote-assignor", "range", "--group-instance-id", "static"],
        ["--assignment-strategy", "org.apache.kafka.clients.consumer.RangeAssignor"],
        ["--assignment-strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"],
    ],
    ids=["consumer", "classic", "cooperative"],
)
def test_verifiable_consumer(bootstrap: str, topic: str, group: str, protocol: list[str]) -> None:
    topics(bootstrap, "--create", "--topic", topic, "--partitions", "2")
    run(PRODUCER, "--bootstrap-server", bootstrap, "--topic", topic, stdin="".join(f"{i}\n" for i in range(50)))
    arguments = ["--bootstrap-server", bootstrap, "--topic", topic, "--group-id", group, "--max-messages", "50"]
    arguments += ["--reset-policy", "earliest", *protocol]
    done = subprocess.run(command(VERIFIABLE, *arguments), capture_output=True, text=True, timeout=120, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert sum(event["count"] for event in events if event["name"] == "records_consumed") == 50, done.stdout
    assigned = [row for event in events if event["name"] == "partitions_assigned" for row in event["partitions"]]
    assert {row["partition"] for row in assigned} == {0, 1}
