"""Kafka's own tools for elections, reassignments, the quorum, features and log directories, unchanged."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.java.tools import ToolShell

TOPICS = "org.apache.kafka.tools.TopicCommand"
QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand"
FEATURES = "org.apache.kafka.tools.FeatureCommand"
ELECTION = "org.apache.kafka.tools.LeaderElectionCommand"
REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
LOG_DIRS = "org.apache.kafka.tools.LogDirsCommand"
CLUSTER = "org.apache.kafka.tools.ClusterTool"


@pytest.fixture(scope="module")
def tools() -> Iterator[ToolShell]:
    with ToolShell() as shell:
        yield shell


def test_the_quorum_and_the_features(tools: ToolShell, bootstrap: str) -> None:
    status = tools.run(QUORUM, "--bootstrap-server", bootstrap, "describe", "--status")
    assert re.search(r"LeaderId: +1\n", status)
    assert re.search(r"CurrentVoters: +\[\{\"id\": 1", status)
    features = tools.run(FEATURES, "--bootstrap-server", bootstrap, "describe")
    assert re.search(r"metadata.version\s+SupportedMinVersion: 3.3-IV3\s+SupportedMaxVersion: 4.3-IV0", features)
    refused = tools.run(
        FEATURES, "--bootstrap-server", bootstrap, "downgrade", "--feature", "metadata.version=21", expect=1
    )
    assert "Unsupported metadata.version downgrade from 30 to 21" in refused


def test_elections_and_reassignments(tools: ToolShell, bootstrap: str, topic: str, tmp_path: Path) -> None:
    server = ("--bootstrap-server", bootstrap)
    tools.run(TOPICS, *server, "--create", "--topic", topic, "--partitions", "2")
    elected = tools.run(ELECTION, *server, "--election-type", "preferred", "--topic", topic, "--partition", "1")
    assert f"Valid replica already elected for partitions {topic}-1" in elected
    described = tools.run(LOG_DIRS, *server, "--describe", "--topic-list", topic)
    (directory,) = json.loads(described.strip().splitlines()[-1])["brokers"][0]["logDirs"]
    assert {row["partition"] for row in directory["partitions"]} == {f"{topic}-0", f"{topic}-1"}
    wanted = {
        "version": 1,
        "partitions": [
            {"topic": topic, "partition": 0, "replicas": [1], "log_dirs": [directory["logDir"]]},
            {"topic": topic, "partition": 1, "replicas": [1], "log_dirs": ["any"]},
        ],
    }
    file = tmp_path / "reassignment.json"
    file.write_text(json.dumps(wanted))
    begun = tools.run(REASSIGN, *server, "--reassignment-json-file", str(file), "--execute")
    assert f"Successfully started partition reassignments for {topic}-0,{topic}-1" in begun
    verified = tools.run(REASSIGN, *server, "--reassignment-json-file", str(file), "--verify")
    assert f"Reassignment of partition {topic}-0 is completed." in verified
    assert f"Reassignment of replica {topic}-0-1 completed successfully." in verified


def test_a_broker_that_is_not_registered(tools: ToolShell, bootstrap: str) -> None:
    told = tools.run(CLUSTER, "unregister", "--bootstrap-server", bootstrap, "--id", "7", expect=1)
    assert "Broker ID 7 is not currently registered" in told
