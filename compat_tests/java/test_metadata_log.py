"""Kafka's own dump tool reads our metadata log, its snapshots and its indexes without complaint."""

import re
from pathlib import Path

import pytest

from compat_tests.java.tools import run
from pykbroker.clock import ManualClock
from pykbroker.metadata.features import INITIAL_FEATURES
from tests.controller.nodes import ControllerNode, records_of
from tests.raft.logs import NOW, PARTITION

pytestmark = pytest.mark.own_broker
DUMP = "org.apache.kafka.tools.DumpLogSegments"
TOPICS = 60


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> ControllerNode:
    """Of many starts and topics, with a snapshot in the middle."""
    clock = ManualClock(wall_ms=NOW)
    node = ControllerNode(tmp_path_factory.mktemp("node"), clock=clock).start()
    node.bring_up(1, 2)
    for number in range(TOPICS):
        clock.advance(0.25)
        node.create(f"topic-{number}", [1, 2], [2, 1], [1])
        node.set_config("retention.ms", "1000", topic=f"topic-{number}")
        if number == TOPICS // 2:
            node.controller.snapshot_done(node.controller.snapshot_job()())
            node = node.again()
    node.register(1)
    node.heartbeat(1, cordoned_log_dirs=[])
    node.controller.close()
    return node


def files(node: ControllerNode, pattern: str) -> str:
    """The files of the metadata log, as the tool wants them."""
    found = sorted((node.folder / PARTITION).glob(pattern))
    assert found
    return ",".join(map(str, found))


def dump(node: ControllerNode, pattern: str, *options: str) -> str:
    output = run(DUMP, *options, "--files", files(node, pattern))
    for complaint in ("Exception", "Mismatches", "Could not", "invalid", "not yet", "isvalid: false", "unknown"):
        assert complaint not in output, output
    return output


def test_every_record_of_the_log_is_decoded(node: ControllerNode) -> None:
    output = dump(node, "*.log", "--cluster-metadata-decoder", "--deep-iteration")
    snapshot = next((node.folder / PARTITION).glob("*.checkpoint"))
    snapshot.rename(snapshot.with_suffix(".aside"))
    expected = len(records_of(node))
    snapshot.with_suffix(".aside").rename(snapshot)
    assert len(re.findall(r'payload: \{"type":"[A-Z_]+_RECORD"', output)) == expected
    assert output.count('"type":"TOPIC_RECORD"') == TOPICS
    assert len(re.findall(r"LeaderChange: ", output)) == 2


def test_the_snapshot_too(node: ControllerNode) -> None:
    output = dump(node, "*.checkpoint", "--cluster-metadata-decoder", "--deep-iteration")
    assert output.count('"type":"TOPIC_RECORD"') == TOPICS // 2 + 1
    assert "SnapshotHeader" in output
    assert "SnapshotFooter" in output


def test_the_bootstrap_too(node: ControllerNode) -> None:
    output = run(DUMP, "--cluster-metadata-decoder", "--files", str(node.folder / "bootstrap.checkpoint"))
    assert output.count('"type":"FEATURE_LEVEL_RECORD"') == len(INITIAL_FEATURES)


def test_the_indexes_agree_with_the_log(node: ControllerNode) -> None:
    assert Path(files(node, "*.index")).stat().st_size >= 24
    assert dump(node, "*.*index", "--index-sanity-check").count("passed sanity check") == 2
    dump(node, "*.*index", "--verify-index-only")
