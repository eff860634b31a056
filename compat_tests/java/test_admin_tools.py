"""Kafka's own tools for elections, reassignments, the quorum, features and log directories, unchanged."""

import json
import re
from pathlib import Path

from compat_tests.java.tools import run

TOPICS = "org.apache.kafka.tools.TopicCommand"
QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand"
FEATURES = "org.apache.kafka.tools.FeatureCommand"
ELECTION = "org.apache.kafka.tools.LeaderElectionCommand"
REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
LOG_DIRS = "org.apache.kafka.tools.LogDirsCommand"
CLUSTER = "org.apache.kafka.tools.ClusterTool"


def test_the_quorum_and_the_features(bootstrap: str) -> None:
    status = run(QUORUM, "--bootstrap-server", bootstrap, "describe", "--status")
    assert re.search(r"LeaderId: +1\n", status)
    assert re.search(r"CurrentVoters: +\[\{\"id\": 1", status)
    features = run(FEATURES, "--bootstrap-server", bootstrap, "describe")
    assert re.search(r"metadata.version\s+SupportedMinVersion: 3.3-IV3\s+SupportedMaxVersion: 4.3-IV0", features)
    refused = run(FEATURES, "--bootstrap-server", bootstrap, "downgrade", "--feature", "metadata.version=21", expect=1)
    assert "Unsupported metadata.version downgrade from 30 to 21" in refused


def test_elections_and_reassignments(bootstrap: str, topic: str, tmp_path: Path) -> None:
    server = ("--bootstrap-server", bootstrap)
    run(TOPICS, *server, "--create", "--topic", topic, "--partitions", "2")
    elected = run(ELECTION, *server, "--election-type", "preferred", "--topic", topic, "--partition", "1")
    assert f"Valid replica already elected for partitions {topic}-1" in elected
    described = run(LOG_DIRS, *server, "--describe", "--topic-list", topic)
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
    begun = run(REASSIGN, *server, "--reassignment-json-file", str(file), "--execute")
    assert f"Successfully started partition reassignments for {topic}-0,{topic}-1" in begun
    verified = run(REASSIGN, *server, "--reassignment-json-file", str(file), "--verify")
    assert f"Reassignment of partition {topic}-0 is completed." in verified
    assert f"Reassignment of replica {topic}-0-1 completed successfully." in verified


def test_a_broker_that_is_not_registered(bootstrap: str) -> None:
    told = run(CLUSTER, "unregister", "--bootstrap-server", bootstrap, "--id", "7", expect=1)
    assert "Broker ID 7 is not currently registered" in told
