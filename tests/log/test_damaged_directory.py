"""The small files of a log directory, damaged while no broker ran: none of them may cost a record.

`pykbroker check-dir` names the damage (tests/raft/inspection/test_data_check.py); the start goes on without the file or
refuses the directory. That a flipped digit of a log start offset within the log is believed, by Kafka as by us, is why
that file is damaged here in other ways. PYKBROKER_SEEDS=50 does more of them.
"""

import os
from pathlib import Path
from random import Random

import pytest

from pykbroker.ids import TopicPartition
from pykbroker.log.log_dir import LogDirError
from tests.log.golden_directories import GoldenDirectory
from tests.log.logs import read_all

SEEDS = int(os.environ.get("PYKBROKER_SEEDS", "2"))
LOG_START = "log-start-offset-checkpoint"
NAMES = [
    "recovery-point-offset-checkpoint",
    "replication-offset-checkpoint",
    "cleaner-offset-checkpoint",
    LOG_START,
    "meta.properties",
    ".kafka_cleanshutdown",
]
Logs = dict[TopicPartition, list[bytes]]


def logs_of(golden: GoldenDirectory) -> Logs:
    try:
        return {log.topic_partition: [data for _, data in read_all(log)] for log in golden.load().manager.all()}
    finally:
        golden.manager.release()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    return logs_of(GoldenDirectory("clean", tmp_path_factory.mktemp("whole")))


def damage(path: Path, random: Random) -> None:
    data = bytearray(path.read_bytes())
    place = random.randrange(len(data))
    if path.name == LOG_START or random.random() < 0.3:
        del data[place:]
    else:
        data[place] ^= 1 << random.randrange(8)
    path.write_bytes(data)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("name", NAMES)
def test_no_record_is_lost(name: str, seed: int, whole: Logs, tmp_path: Path) -> None:
    golden = GoldenDirectory("clean", tmp_path)
    damage(golden.path / name, Random(seed))
    try:
        found = logs_of(golden)
    except LogDirError:
        assert name == "meta.properties"
        return
    assert found.keys() == whole.keys()
    for tp, batches in whole.items():
        assert found[tp][len(found[tp]) - len(batches) :] == batches, tp  # deleted records may be back, before them


@pytest.mark.parametrize("seed", range(SEEDS - 1))
def test_all_at_once_after_a_kill(seed: int, tmp_path: Path) -> None:
    whole = logs_of(GoldenDirectory("killed", tmp_path / "whole"))
    golden = GoldenDirectory("killed", tmp_path / "damaged")
    for name in NAMES[:4]:
        if (golden.path / name).exists():
            damage(golden.path / name, Random(seed))
    found = logs_of(golden)
    for tp, batches in whole.items():
        assert found[tp][len(found[tp]) - len(batches) :] == batches, tp


def test_a_start_offset_behind_an_end_that_is_known_is_not_believed(
    whole: Logs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Kafka deletes the whole log for it. After a stop in order the recovery point says where each log ends: the files
    are all there, so that it is the start offset that is wrong."""
    golden = GoldenDirectory("clean", tmp_path)
    path = golden.path / LOG_START
    lines = [f"{line}9" if line[:1].isalpha() else line for line in path.read_text().splitlines()]
    path.write_text("".join(f"{line}\n" for line in lines))
    found = logs_of(golden)
    assert "not believed" in caplog.text
    for tp, batches in whole.items():
        assert found[tp][len(found[tp]) - len(batches) :] == batches, tp


def test_where_segments_are_missing_it_is(tmp_path: Path) -> None:
    """Somebody removed them: offsets that were given away must not be given again."""
    golden = GoldenDirectory("clean", tmp_path)
    folder = golden.path / "trimmed-0"
    for path in sorted(folder.glob("*.log"))[1:]:
        path.unlink()
    first = sorted(folder.glob("*.log"))[0]
    (golden.path / LOG_START).write_text("0\n1\ntrimmed 0 900\n")
    golden.load()
    log = golden.manager.get(TopicPartition("trimmed", 0))
    assert log is not None
    assert (log.log_start_offset, log.log_end_offset) == (900, 900)
    assert not first.exists()
    golden.manager.release()
