"""Real Kafka's data directories through our eyes: what clients were served, what lies in the files, what we leave."""

from pathlib import Path
from typing import Any

import pytest

from pykbroker.log.files import Files
from pykbroker.log.leader_epochs import FILE_NAME
from pykbroker.log.offset_index import OffsetIndex
from pykbroker.log.producer_snapshot import read_snapshot
from pykbroker.log.time_index import TimeIndex
from pykbroker.log.time_search import TimestampOffset
from pykbroker.log.transaction_index import TransactionIndex
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.batch import iterate_batches
from tests.log.golden_directories import STATES, GoldenDirectory, read_committed, records_of
from tests.log.logs import open_log

INDEX_BYTES = 16384
# Rewritten by the cleaner: their batches no longer tell how they were appended.
COMPACTED = ("compacted", "__")
PRODUCER_FIELDS = (
    "producer_id",
    "producer_epoch",
    "last_sequence",
    "last_timestamp",
    "coordinator_epoch",
    "current_txn_start_offset",
)


@pytest.fixture(scope="module", params=STATES)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GoldenDirectory:
    return GoldenDirectory(request.param, tmp_path_factory.mktemp(request.param)).load()


def test_offsets_are_those_served(opened: GoldenDirectory) -> None:
    for tp, log, served in opened.partitions():
        found = (log.log_start_offset, log.high_watermark, log.last_stable_offset)
        assert found == (served["log_start_offset"], served["high_watermark"], served["last_stable_offset"]), tp


def test_records_are_those_served(opened: GoldenDirectory) -> None:
    for tp, log, served in opened.partitions():
        if "records" not in served:
            continue
        found = records_of(log)
        assert [plain(record) for record in found] == [
            (each["offset"], each["timestamp"], each["key"], each["value"], each.get("headers", []))
            for each in served["records"]
        ], tp
        assert read_committed(log) == served["read_committed_offsets"], tp


def plain(record: Any) -> tuple[Any, ...]:
    headers = [[name, hex_or_none(value)] for name, value in record.headers]
    return record.offset, record.timestamp, hex_or_none(record.key), hex_or_none(record.value), headers


def hex_or_none(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def test_offsets_for_times_are_those_served(opened: GoldenDirectory) -> None:
    for tp, log, served in opened.partitions():
        for asked in served.get("offset_for_time", []):
            found = log.offset_for_timestamp(asked["timestamp"])
            assert found_as_served(found) == (asked["offset"], asked["found_timestamp"]), (tp, asked)
        largest = served["max_timestamp"]
        assert found_as_served(log.offset_of_max_timestamp()) == (largest["offset"], largest["timestamp"]), tp


def found_as_served(found: TimestampOffset | None) -> tuple[int, int]:
    return (-1, -1) if found is None else (found.offset, found.timestamp)


def test_producers_are_those_served(opened: GoldenDirectory) -> None:
    """Where the manifest was read before the stop, those silent since 2023 have expired when the log is loaded."""
    for tp, log, served in opened.partitions():
        if "active_producers" not in served:
            continue
        oldest = opened.clock.wall_ms() - log.producer_state.expiration_ms
        expected = [
            tuple(each[field] for field in PRODUCER_FIELDS)
            for each in served["active_producers"]
            if each["last_timestamp"] > oldest or each["current_txn_start_offset"] >= 0
        ]
        found = [
            (p.producer_id, p.epoch, p.last_sequence, p.last_timestamp, p.coordinator_epoch, p.first_offset)
            for p in log.producer_state.active()
        ]
        assert sorted(found) == sorted(expected), tp


def test_files_are_read_as_they_are(tmp_path: Path) -> None:
    """Every index, snapshot and epoch checkpoint of a clean stop, through our readers."""
    golden = GoldenDirectory("clean", tmp_path)
    for name, described in golden.segment_files(".index"):
        assert absolute(OffsetIndex(*index_of(golden, name))) == described["entries"], name
    for name, described in golden.segment_files(".timeindex"):
        index = TimeIndex(*index_of(golden, name))
        assert [[stamp, index.base_offset + delta] for stamp, delta in index] == described["entries"], name
    for name, described in golden.segment_files(".txnindex"):
        entries = TransactionIndex(Files(), str(golden.path / name), base_offset(name)).entries
        assert [each._asdict() for each in entries] == [without(each, "version") for each in described["aborted"]]
    for name, described in golden.segment_files(".snapshot"):
        assert [snapshot_entry(each) for each in read_snapshot(Files(), str(golden.path / name))] == (
            described["producers"]
        ), name


def index_of(golden: GoldenDirectory, name: str) -> tuple[Files, str, int, int]:
    return Files(), str(golden.path / name), base_offset(name), INDEX_BYTES


def absolute(index: OffsetIndex) -> list[list[int]]:
    return [[index.base_offset + delta, position] for delta, position in index]


def base_offset(name: str) -> int:
    return int(name.rsplit("/", 1)[1].split(".")[0])


def without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def snapshot_entry(entry: Any) -> dict[str, Any]:
    last = entry.batches[-1] if entry.batches else None
    of_last = {"last_sequence": last.last_sequence, "offset_delta": last.offset_delta} if last else {}
    return {
        "producer_id": entry.producer_id,
        "producer_epoch": entry.epoch,
        "last_timestamp": entry.last_timestamp,
        "coordinator_epoch": entry.coordinator_epoch,
        "current_txn_first_offset": entry.first_offset,
        "last_offset": last.last_offset if last else -1,
    } | of_last


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }


def test_a_clean_directory_is_left_as_it_was(tmp_path: Path) -> None:
    """Loaded and stopped in order: the same names, the same bytes. Only the checkpoints' lines have another order."""
    golden = GoldenDirectory("clean", tmp_path)
    before = contents(golden.path)
    golden.load()
    partitions = list(golden.partitions())
    golden.manager.shutdown(broker_epoch=12)
    after = contents(golden.path)
    assert set(after) - set(before) <= {".lock"}
    # Snapshots at the log start go when a log is loaded, in Kafka too: no producer before it is remembered.
    gone = {"retained-0/00000000000000000092.snapshot", "trimmed-0/00000000000000000029.snapshot"}
    assert set(before) - set(after) == gone
    # An epoch that begins at the log's end has no record: it goes, until the partition has a leader again.
    empty = {f"{tp}/{FILE_NAME}" for tp, log, _ in partitions if log.log_end_offset == 0}
    for name in set(before) - gone - empty:
        content = before[name]
        if name.endswith("-offset-checkpoint"):
            assert sorted(after[name].splitlines()) == sorted(content.splitlines()), name
        else:
            assert after[name] == content, name


def test_recovery_rebuilds_the_indexes_that_kafka_wrote(tmp_path: Path) -> None:
    """killed, without any index: those of sealed segments come back byte for byte.

    The cleaner removed what transactions it knew to be aborted: nothing tells of them any more, to Kafka neither.
    """
    golden = GoldenDirectory("killed", tmp_path)
    wanted = {}
    for suffix in (".index", ".timeindex", ".txnindex"):
        for name, described in golden.segment_files(suffix):
            if described["bytes"] < INDEX_BYTES - 12 and not name.startswith(("__cluster_metadata", "compacted-txn")):
                wanted[name] = (golden.path / name).read_bytes()
            (golden.path / name).unlink()
    (golden.path / "recovery-point-offset-checkpoint").unlink()
    golden.load()
    for name, content in wanted.items():
        assert (golden.path / name).read_bytes() == content, name


@pytest.mark.parametrize("state", STATES[:2])
def test_appending_writes_the_files_that_kafka_wrote(state: str, tmp_path: Path) -> None:
    """Each log that was never rewritten, appended batch by batch: segments, indexes, snapshots, epochs."""
    golden = GoldenDirectory(state, tmp_path / "golden")
    compared = 0
    for name in sorted({name.split("/")[0] for name, _ in golden.segment_files(".log")}):
        if not name.startswith(COMPACTED):
            log = appended_again(golden, name, tmp_path / "ours")
            if state == "clean":
                log.close()
            compared += compare(golden, name, log)
    assert compared > 40


def appended_again(golden: GoldenDirectory, name: str, into: Path) -> UnifiedLog:
    paths = sorted((golden.path / name).glob("*.log"))
    config = golden.config(name.rpartition("-")[0])
    log = open_log(into / name, log_start_offset=int(paths[0].stem), **vars(config))
    for path in paths:
        data = path.read_bytes()
        for header, position in iterate_batches(data):
            log.append_as_follower(bytearray(data[position : position + header.size_in_bytes]), 0)
    return log


def compare(golden: GoldenDirectory, name: str, log: UnifiedLog) -> int:
    """The files that Kafka had finished: of a killed one's active segment the indexes are not, so only the log."""
    wanted = contents(golden.path / name)
    ours = contents(Path(log.directory))
    if golden.state == "killed":
        active = f"{log.active.base_offset:020d}"
        wanted = {file: content for file, content in wanted.items() if file in (active + ".log",) or active not in file}
    snapshots = {file for file in wanted if file.endswith(".snapshot")}
    # Started in the middle (retained, trimmed): the producers before are known only to Kafka's own snapshots.
    skipped = {FILE_NAME, "partition.metadata"} | (snapshots if int(min(wanted)[:20]) else set())
    for file in set(wanted) - skipped:
        assert ours[file] == wanted[file], (name, file)
    return len(set(wanted) - skipped)
