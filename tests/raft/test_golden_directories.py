"""The metadata logs of the real Kafka, as it left them: stopped, killed, and killed with damaged logs beside."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.features import record_version
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.snapshot_records import image_to_records
from pykbroker.protocol.enums import AclOperation, AclPermissionType, PatternType, ResourceType
from pykbroker.protocol.json_form import from_json, to_json
from pykbroker.protocol.message import Message
from pykbroker.protocol.metadata_records import frame_record, parse_record
from pykbroker.protocol.persisted.metadata.register_broker_record import RegisterBrokerRecord
from pykbroker.protocol.persisted.metadata.register_controller_record import RegisterControllerRecord
from pykbroker.raft import snapshot
from pykbroker.raft.metadata_log import LoadedBatch
from tests.log.logs import golden_directory
from tests.raft.logs import PARTITION, open_log

STATES = ("clean", "killed", "torn")
MECHANISMS = {1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}


class Golden:
    def __init__(self, state: str, folder: Path) -> None:
        self.data, manifest = golden_directory(state, folder)
        self.files: dict[str, Any] = manifest["files"]
        self.served: dict[str, Any] = manifest["served"]

    @property
    def snapshots(self) -> list[snapshot.SnapshotId]:
        return snapshot.find_snapshots(str(self.data / PARTITION))

    def without_snapshots(self) -> list[LoadedBatch]:
        for found in self.snapshots:
            (self.data / PARTITION / found.file_name).unlink()
        return list(open_log(self.data).load())

    def records(self, name: str) -> list[dict[str, Any]]:
        """As the real decoders read them."""
        return list(self.files[f"{PARTITION}/{name}"]["records"])


@pytest.fixture(params=STATES)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Golden:
    return Golden(request.param, tmp_path)


def told(record: Message, version: int) -> dict[str, Any]:
    return {"type": type(record).__name__, "version": version, "data": to_json(record, version)}


def image_of(batches: list[LoadedBatch]) -> MetadataImage:
    delta = MetadataDelta(MetadataImage.empty("c"))
    for batch in batches:
        for record in batch.records:
            delta.replay(record)
    return delta.apply(batches[-1].last_offset, batches[-1].epoch)


def test_snapshot_and_log_are_read_as_kafka_reads_them(golden):
    log = open_log(golden.data)
    newest = golden.snapshots[-1]
    expected = golden.records(newest.file_name)
    expected += [row for row in golden.records("00000000000000000000.log") if row["offset"] >= newest.end_offset]
    loaded = [record for batch in log.load() for record in batch.records]
    assert len(loaded) == len(expected)
    for record, row in zip(loaded, expected, strict=True):
        version = row["version"]
        assert told(record, version) == {key: row[key] for key in ("type", "version", "data")}
    assert log.end_offset == golden.files[f"{PARTITION}/00000000000000000000.log"]["batches"][-1]["last_offset"] + 1


def test_every_record_is_written_in_the_version_of_kafka(golden):
    for row in golden.records("00000000000000000000.log"):
        record, version = parse_record(_framed(row))
        assert record_version(record, 30) == version == row["version"]


def _framed(row: dict[str, Any]) -> bytes:
    return frame_record(from_json(row["type"], row["version"], row["data"]), row["version"])


def test_the_image_is_what_the_broker_served(golden):
    image = image_of(list(open_log(golden.data).load()))
    served = golden.served
    assert image.features.finalized == served["features"]
    assert sorted(image.topics.names()) == sorted(served["topics"])
    for topic in image.topics:
        row = served["topics"][topic.name]
        assert str(topic.id) == row["topic_id"]
        assert sorted(topic.partitions) == sorted(map(int, row["partitions"]))
        assert image.configs.topic(topic.name) == row["configs"]
        assert {partition.replicas for partition in topic.partitions.values()} == {(1,)}
    # A broker's own settings are told with those of all.
    own = {**image.configs.broker(""), **image.configs.broker(1)}
    assert image.configs.broker("") == served["broker_configs"]["default"]
    assert own == served["broker_configs"]["1"]


def test_quotas_credentials_and_acls_too(golden):
    image = image_of(list(open_log(golden.data).load()))
    served = golden.served
    quotas = [{"entity": dict(entity), "values": dict(values)} for entity, values in image.client_quotas.items()]
    assert sorted(quotas, key=str) == sorted(served["client_quotas"], key=str)
    credentials = [(user, MECHANISMS[kind], found.iterations) for (kind, user), found in image.scram.items()]
    assert sorted(credentials) == sorted(
        (user, row["mechanism"], row["iterations"])
        for user, rows in served["scram_credentials"].items()
        for row in rows
    )
    acls = [
        {
            "resource_type": ResourceType(acl.resource_type).name,
            "name": acl.resource_name,
            "pattern": PatternType(acl.pattern_type).name,
            "principal": acl.principal,
            "host": acl.host,
            "operation": AclOperation(acl.operation).name,
            "permission": AclPermissionType(acl.permission_type).name,
        }
        for acl in image.acls.values()
    ]
    assert sorted(acls, key=str) == sorted(served["acls"], key=str)


def test_after_a_clean_stop_the_broker_leads_nothing_and_may_lead_everything(tmp_path):
    golden = Golden("clean", tmp_path)
    image = image_of(list(open_log(golden.data).load()))
    assert image.brokers[1].fenced
    for topic in image.topics:
        for partition in topic.partitions.values():
            assert (partition.leader, partition.isr, partition.elr) == (-1, (), (1,))
            assert partition.leader_epoch == 1


def in_order(value: bytes) -> bytes:
    """Features of a registration are a set."""
    record, version = parse_record(value)
    if isinstance(record, RegisterBrokerRecord | RegisterControllerRecord):
        record.features.sort(key=lambda feature: feature.name)
    return frame_record(record, version)


def test_each_snapshot_is_the_log_up_to_there(golden):
    """And its records are those that we would write, byte for byte, apart from the order of what has none."""
    found = {each: snapshot.read(str(golden.data / PARTITION / each.file_name)) for each in golden.snapshots}
    batches = golden.without_snapshots()
    assert found
    for snapshot_id, content in found.items():
        image = image_of([batch for batch in batches if batch.last_offset < snapshot_id.end_offset])
        assert image.offset == snapshot_id.end_offset - 1
        ours = [frame_record(record, record_version(record, 30)) for record in image_to_records(image)]
        assert Counter(map(in_order, ours)) == Counter(map(in_order, content.values))
        assert content.timestamp == max(
            batch.timestamp for batch in batches if batch.last_offset < snapshot_id.end_offset
        )


def test_with_and_without_a_snapshot_the_image_is_the_same(golden):
    with_snapshot = image_of(list(open_log(golden.data).load()))
    assert image_of(golden.without_snapshots()) == with_snapshot
