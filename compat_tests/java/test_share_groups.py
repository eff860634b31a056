"""Java's share consumer and `kafka-share-groups`, unchanged: join, share, describe, reset, delete."""

import re
import subprocess
import time
from collections.abc import Callable

import pytest

from compat_tests.java.tools import ToolShell, command
from compat_tests.java.tools import run as run_alone

TOOL = "org.apache.kafka.tools.consumer.group.ShareGroupCommand"
TOPICS = "org.apache.kafka.tools.TopicCommand"
PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleShareConsumer"


def rows(output: str, group: str) -> list[list[str]]:
    """The cells of the lines about the group."""
    return [line.split() for line in output.splitlines() if line.startswith(group)]


@pytest.mark.timeout(240)
def test_share_groups(bootstrap: str, unique: Callable[[str], str]) -> None:
    with ToolShell() as shell:
        from_birth_to_death(bootstrap, unique, shell.run)


def from_birth_to_death(bootstrap: str, unique: Callable[[str], str], run: Callable[..., str]) -> None:
    topic, group = unique("topic"), unique("share")
    server = ("--bootstrap-server", bootstrap)
    of_group = (*server, "--group", group)
    run_alone(TOPICS, *server, "--create", "--topic", topic, "--partitions", "1")
    run_alone(PRODUCER, *server, "--topic", topic, stdin="".join(f"m{n}\n" for n in range(5)))

    told = run(TOOL, *of_group, "--reset-offsets", "--topic", topic, "--to-earliest", "--execute", expect=0)
    assert re.search(rf"{group}\s+{topic}\s+0\s+0", told), told
    assert rows(run(TOOL, *server, "--list"), group) == [[group]]
    assert rows(run(TOOL, *server, "--list", "--state"), group) == [[group, "Empty"]]
    (row,) = rows(run(TOOL, *of_group, "--describe", "--offsets"), group)
    assert row == [group, topic, "0", "0", "5"]

    with subprocess.Popen(
        command(CONSUMER, *of_group, "--topic", topic), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as consumer:
        try:
            assert consumer.stdout is not None
            assert [consumer.stdout.readline().strip() for _ in range(5)] == [f"m{n}" for n in range(5)]
            assert rows(run(TOOL, *server, "--list", "--state", "stable"), group) == [[group, "Stable"]]
            state = rows(run(TOOL, *of_group, "--describe", "--state", "--verbose"), group)
            assert state[0][-2:] == ["Stable", "1"] or state[0][-1] == "1", state
            (member,) = rows(run(TOOL, *of_group, "--describe", "--members", "--verbose"), group)
            assert "/127.0.0.1" in member, member
            assert f"{topic}:0" in " ".join(member), member
            refused = run(TOOL, *of_group, "--delete")
            assert f"Share group '{group}' is not EMPTY" in refused, refused
        finally:
            consumer.terminate()
            consumer.wait(30)
    deadline = time.monotonic() + 30
    while not rows(run(TOOL, *server, "--list", "--state", "empty"), group):
        assert time.monotonic() < deadline, "the consumer did not leave"
    (row,) = rows(run(TOOL, *of_group, "--describe", "--verbose"), group)
    assert (row[:3], row[-1]) == ([group, topic, "0"], "0"), row

    planned = run(TOOL, *of_group, "--reset-offsets", "--all-topics", "--to-earliest", "--dry-run")
    assert re.search(rf"{group}\s+{topic}\s+0\s+0", planned), planned
    (row,) = rows(run(TOOL, *of_group, "--describe"), group)
    assert row[-1] == "0", row
    told = run(
        TOOL, *of_group, "--reset-offsets", "--topic", topic, "--to-datetime", "2020-01-01T00:00:00.000", "--execute"
    )
    assert re.search(rf"{group}\s+{topic}\s+0\s+0", told), told
    told = run(TOOL, *of_group, "--reset-offsets", "--topic", topic, "--to-latest", "--execute")
    assert re.search(rf"{group}\s+{topic}\s+0\s+5", told), told
    (row,) = rows(run(TOOL, *of_group, "--describe"), group)
    assert row == [group, topic, "0", "5", "0"], row

    told = run(TOOL, *of_group, "--delete-offsets", "--topic", topic)
    assert re.search(rf"{topic}\s+Successful", told), told
    assert "Deletion of requested share groups" in run(TOOL, *of_group, "--delete")
    assert group not in run(TOOL, *server, "--list")
