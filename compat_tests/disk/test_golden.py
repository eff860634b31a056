"""The directories that real Kafka left (stopped, killed, killed and damaged), served by pykbroker, then by Kafka again.

Time has moved on since their manifests were written: tests/golden/README.md tells what that changes.
"""

import time
from pathlib import Path
from typing import Any

import pytest

from compat_tests.disk import entries, served
from compat_tests.disk.handover import asking, data_of, golden, kafka_on, ours_on
from compat_tests.wire.conftest import SocketAsker
from pykbroker.metadata.image import MetadataImage
from tests.handlers.cluster_asker import eventually
from tests.raft.logs import open_log
from tests.raft.test_golden_directories import image_of

pytestmark = pytest.mark.own_broker

TIMED_OUT = "tx-open"
OPEN = "txn-open"
AFTER_THE_ABORT = [11, 12, 13, 14, 15]
LEADER_EPOCH = 2  # of the second start: fenced and unfenced, or stopped and unfenced


def expected(topic: str, manifest_row: dict[str, Any], expiration_ms: int) -> dict[str, Any]:
    """The manifest's row as it must be today, with the transaction that timed out aborted."""
    row = {name: value for name, value in manifest_row.items() if name != "leader_epoch"}
    oldest = time.time_ns() // 1_000_000 - expiration_ms
    row["active_producers"] = [each for each in row["active_producers"] if each["last_timestamp"] > oldest]
    if topic == OPEN:
        row["high_watermark"] = row["last_stable_offset"] = 17
        row["read_committed_offsets"] = row["read_committed_offsets"] + AFTER_THE_ABORT
    return row


def check_logs(asker: SocketAsker, manifest: dict[str, Any], rounds: int) -> None:
    """`rounds`: starts since the manifest."""
    expiration_ms = int(manifest["settings"]["producer.id.expiration.ms"])
    found = served.topics(asker)
    assert found.keys() == manifest["served"]["topics"].keys()
    for name, described in manifest["served"]["topics"].items():
        topic, epochs = found[name]
        assert str(topic.id) == described["topic_id"]
        assert served.configs(asker, served.TOPIC, name).items() >= described["configs"].items()
        assert set(epochs) == {int(number) for number in described["partitions"]}
        for number, row in described["partitions"].items():
            assert epochs[int(number)] >= LEADER_EPOCH * rounds, (name, number)
            timestamps = [each["timestamp"] for each in row.get("offset_for_time", ())]
            got = served.partition(asker, topic, int(number), timestamps)
            if described["internal"]:
                assert got["log_start_offset"] == row["log_start_offset"]
                assert got["high_watermark"] == got["last_stable_offset"] >= row["high_watermark"]
                continue
            wanted = expected(name, row, expiration_ms)
            if name == OPEN:
                check_abort(got)
                for field in ("max_timestamp", "active_producers"):
                    got[field] = wanted[field]
            for field, value in wanted.items():
                assert got[field] == value, (name, number, field)


def check_abort(got: dict[str, Any]) -> None:
    """Of the transaction that nobody ended: its marker is the newest record, its producer's epoch a new one."""
    assert got["max_timestamp"]["offset"] == 16
    (producer,) = [each for each in got["active_producers"] if each["producer_id"] == 17]
    assert producer["producer_epoch"] == 2
    assert (producer["last_sequence"], producer["current_txn_start_offset"]) == (-1, -1)


def check_coordinators(asker: SocketAsker, manifest: dict[str, Any]) -> None:
    aborted = eventually(lambda: served.transaction(asker, TIMED_OUT), lambda row: row["state"] == "CompleteAbort")
    rows = {name: served.transaction(asker, name) for name in served.transactional_ids(asker)}
    opened = manifest["served"]["transactions"][TIMED_OUT]
    assert aborted == opened | {"state": "CompleteAbort", "producer_epoch": 2, "partitions": []}
    assert rows == manifest["served"]["transactions"] | {TIMED_OUT: aborted}
    for group, row in manifest["served"]["groups"].items():
        assert served.committed(asker, group) == row.get("offsets", {}), group


def check_settings(asker: SocketAsker, manifest: dict[str, Any]) -> None:
    wanted = manifest["served"]["broker_configs"]
    assert served.configs(asker, served.BROKER, "") == wanted["default"]
    assert served.configs(asker, served.BROKER, "1").items() >= wanted["1"].items()
    assert served.features(asker) == manifest["served"]["features"]


def check(asker: SocketAsker, manifest: dict[str, Any], rounds: int) -> None:
    check_coordinators(asker, manifest)
    check_logs(asker, manifest, rounds)
    check_settings(asker, manifest)


def entries_in(data: Path) -> tuple[object, ...]:
    image: MetadataImage = image_of(list(open_log(data).load()))
    return image.acls, image.scram, image.client_quotas, image.configs.broker(""), image.configs.broker(1)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("state", ["clean", "killed", "torn"])
def test_served_as_kafka_served_it(state: str, tmp_path: Path) -> None:
    manifest, settings = golden(state, tmp_path)
    kept = entries_in(data_of(tmp_path))
    assert all(kept[:3])
    with ours_on(tmp_path, settings) as broker:
        for rounds in (1, 2):
            with asking(broker.bootstrap) as asker:
                check(asker, manifest, rounds)
            if rounds == 1:
                broker.stop()
                assert entries_in(data_of(tmp_path)) == kept
                broker.start()


@pytest.mark.timeout(120)
def test_kafka_takes_its_own_back(tmp_path: Path) -> None:
    """Damaged as it was, recovered by us, and killed again."""
    manifest, settings = golden("torn", tmp_path)
    with ours_on(tmp_path, settings) as broker, asking(broker.bootstrap) as asker:
        check_coordinators(asker, manifest)
        broker.kill()
    with kafka_on(tmp_path, settings) as kafka, asking(kafka.bootstrap) as asker:
        check(asker, manifest, 2)
        assert entries.acls(asker) == sorted(manifest["served"]["acls"], key=str)
        assert entries.scram_credentials(asker) == manifest["served"]["scram_credentials"]
        quotas = sorted(manifest["served"]["client_quotas"], key=entries.in_order)
        assert entries.client_quotas(asker) == quotas
