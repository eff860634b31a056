"""All files of the real Kafka's directories shown as Kafka's own decoders read them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pykbroker.log.inspection.kinds import recognise
from pykbroker.log.inspection.row import DumpOptions, Row
from pykbroker.raft.inspection.dump import dump
from tests.golden_data import golden_path

BATCH_FIELDS = (
    "position",
    "size",
    "base_offset",
    "last_offset",
    "count",
    "crc",
    "codec",
    "max_timestamp",
    "leader_epoch",
)


@pytest.fixture(scope="module")
def files() -> dict[str, Any]:
    with gzip.open(golden_path("disk", "clean.manifest.json.gz"), "rt", encoding="utf-8") as text:
        found: dict[str, Any] = json.load(text)["files"]
    return found


def rows_of(folder: Path, name: str, options: DumpOptions | None = None) -> list[Row]:
    path = str(folder / name)
    recognised = recognise(path)
    assert recognised is not None, name
    return list(dump(path, recognised, options or DumpOptions()))


def test_no_file_of_a_sound_directory_is_damaged(unpacked: dict[str, Path], files: dict[str, Any]) -> None:
    for name in files:
        rows = rows_of(unpacked["clean"], name, DumpOptions(records=True))
        assert all(row["row"] != "damage" for row in rows), name


def test_batches(unpacked: dict[str, Path], files: dict[str, Any]) -> None:
    for name, content in files.items():
        if "batches" in content:
            rows = [row for row in rows_of(unpacked["clean"], name) if row["row"] == "batch"]
            told = [{field: row[field] for field in BATCH_FIELDS} for row in rows]
            assert told == [{field: batch[field] for field in BATCH_FIELDS} for batch in content["batches"]], name


def test_records_of_the_metadata_log_and_its_snapshots(unpacked: dict[str, Path], files: dict[str, Any]) -> None:
    seen = 0
    for name, content in files.items():
        if name.startswith("__cluster_metadata") and "records" in content:
            fields = ("offset", "type", "version", "data")
            rows = [row for row in rows_of(unpacked["clean"], name) if row["row"] == "record" and "control" not in row]
            assert [{field: row[field] for field in fields} for row in rows] == content["records"], name
            seen += len(rows)
    assert seen > 300


@pytest.mark.parametrize("topic", ["__consumer_offsets", "__transaction_state", "__share_group_state"])
def test_records_of_coordinators(unpacked: dict[str, Path], files: dict[str, Any], topic: str) -> None:
    seen = 0
    for name, content in files.items():
        if name.startswith(topic) and content.get("records"):
            rows = [row for row in rows_of(unpacked["clean"], name) if row["row"] == "record" and "control" not in row]
            assert [(row["offset"], row["key"], row["value"]) for row in rows] == [
                (record["offset"], record["key"], record["value"]) for record in content["records"]
            ], name
            seen += len(rows)
    assert seen


def test_indexes_and_producers(unpacked: dict[str, Path], files: dict[str, Any]) -> None:
    for name, content in files.items():
        rows = [row for row in rows_of(unpacked["clean"], name) if row["row"] == "entry"]
        if name.endswith(".index"):
            assert [[row["offset"], row["position"]] for row in rows] == content["entries"], name
        elif name.endswith(".timeindex"):
            assert [[row["timestamp"], row["offset"]] for row in rows] == content["entries"], name
        elif name.endswith(".txnindex"):
            told = [(row["first_offset"], row["last_offset"], row["last_stable_offset"]) for row in rows]
            fields = ("first_offset", "last_offset", "last_stable_offset")
            assert told == [tuple(entry[field] for field in fields) for entry in content["aborted"]], name
        elif name.endswith(".snapshot"):
            told = [(row["producer_id"], row["last_sequence"], row["last_batch_offset"]) for row in rows]
            fields = ("producer_id", "last_sequence", "last_offset")
            assert told == [tuple(entry.get(field, -1) for field in fields) for entry in content["producers"]], name


def test_text_files(unpacked: dict[str, Path]) -> None:
    folder = unpacked["clean"]
    assert rows_of(folder, "log-start-offset-checkpoint") == [
        {"row": "entry", "topic": "trimmed", "partition": 0, "checkpoint": 50}
    ]
    assert rows_of(folder, "trimmed-0/leader-epoch-checkpoint") == [{"row": "entry", "epoch": 0, "start_offset": 50}]
    assert rows_of(folder, "meta.properties")[0]["node.id"] == "1"
    assert rows_of(folder, ".kafka_cleanshutdown") == [{"row": "file", "broker_epoch": 12}]
    assert rows_of(folder, "__cluster_metadata-0/quorum-state")[0]["leaderEpoch"] == 1


def test_damage_of_a_quorum_state(tmp_path: Path) -> None:
    (tmp_path / "quorum-state").write_text("{")
    assert rows_of(tmp_path, "quorum-state")[0]["row"] == "damage"
