"""`pykbroker dump-log`: what a person and a script read, and that damage stops nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pykbroker.cli.dump_log import main
from tests.log.inspection.checking import flip
from tests.log.logs import golden_directory

Run = Callable[..., tuple[int, list[str], str]]
SEGMENT = "txn-0/00000000000000000008"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return golden_directory("clean", tmp_path_factory.mktemp("clean"))[0]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], clean: Path) -> Run:
    """(exit code, lines on standard output, standard error); runs in the golden directory."""

    def run(*arguments: object) -> tuple[int, list[str], str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(clean)
            code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err

    return run


def test_several_files_in_turn(run: Run) -> None:
    code, lines, errors = run(f"{SEGMENT}.index", f"{SEGMENT}.txnindex", "txn-0/partition.metadata", "--max", 2)
    assert (code, errors) == (0, "")
    assert lines == [
        "== txn-0/00000000000000000008.index: offset index, 56 bytes",
        "entry  offset: 13  position: 515",
        "entry  offset: 18  position: 1118",
        "== txn-0/00000000000000000008.txnindex: transaction index, 102 bytes",
        "entry  producer_id: 12  first_offset: 0  last_offset: 8  last_stable_offset: 2",
        "entry  producer_id: 13  first_offset: 2  last_offset: 9  last_stable_offset: 10",
        "== txn-0/partition.metadata: partition metadata, 43 bytes",
        "file  version: 0  topic_id: iyislXs9Soay6kf0ZF-TBg",
    ]


def test_batches_and_records(run: Run) -> None:
    _, lines, _ = run(f"{SEGMENT}.log", "--records", "--offset", 9, "--max", 2)
    assert lines[1:3] == [
        "batch  position: 78  size: 78  base_offset: 9  last_offset: 9  count: 1  leader_epoch: 0  magic: 2  "
        "codec: none  timestamp_type: CreateTime  max_timestamp: 1795478021012  crc: 3766630661  producer_id: 13"
        "  producer_epoch: 1  base_sequence: -1  last_sequence: -1  transactional: yes  control: yes",
        "record  offset: 9  timestamp: 1795478021012  control: ABORT  coordinator_epoch: 0",
    ]
    assert lines[4].startswith("record  offset: 10  timestamp: 1700000001000  sequence: 0  key: ")
    assert len(lines) == 5


def test_records_of_coordinators_and_metadata_are_decoded_without_asking(run: Run) -> None:
    _, lines, _ = run("__consumer_offsets-0/00000000000000000000.log", "--max", 1)
    assert lines[2].startswith("record  offset: 0  timestamp: 1795478026213  sequence: 0  type: ")
    _, lines, _ = run("bootstrap.checkpoint")
    assert 'type: FeatureLevelRecord  version: 0  data: {"name":"metadata.version","featureLevel":30}' in lines[4]
    _, lines, _ = run("bootstrap.checkpoint", "--no-records")
    assert all(line.startswith(("==", "batch")) for line in lines)


def test_records_of_a_file_that_lies_elsewhere(run: Run, clean: Path, tmp_path: Path) -> None:
    lost = tmp_path / "00000000000000000000.log"
    lost.write_bytes((clean / "__transaction_state-0" / lost.name).read_bytes())
    _, lines, _ = run(lost, "--decode", "transaction", "--max", 1)
    assert 'type: TransactionLog  key: {"transactionalId":' in lines[2]
    _, lines, _ = run(lost, "--max", 1)
    assert len(lines) == 2


def test_json_lines(run: Run) -> None:
    _, lines, _ = run("plain-0/00000000000000000000.log", "--json", "--records", "--max", 1)
    rows = [json.loads(line) for line in lines]
    assert [row["row"] for row in rows] == ["dump", "batch", "record", "record"]
    assert {row["file"] for row in rows} == {"plain-0/00000000000000000000.log"}
    assert rows[1]["control"] is False


def test_damage_is_told_at_its_byte_and_the_rest_is_shown(run: Run, clean: Path, tmp_path: Path) -> None:
    broken = tmp_path / "00000000000000000008.log"
    broken.write_bytes((clean / f"{SEGMENT}.log").read_bytes())
    flip(broken, 100)
    code, lines, _ = run(broken, f"{SEGMENT}.index")
    assert code == 1
    damage = [line for line in lines if line.startswith("DAMAGE")]
    assert len(damage) == 1
    assert damage[0].startswith("DAMAGE at byte 78: checksum: ")
    assert lines[-1] == "entry  offset: 43  position: 3929"
    _, lines, _ = run(broken, "--json", "--max", 1)
    assert json.loads(lines[2])["row"] == "damage"


def test_what_is_no_file_of_kafkas(run: Run, clean: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.touch()
    code, lines, errors = run(other, tmp_path / "gone.log", clean, "txn-0/leader-epoch-checkpoint")
    assert code == 1
    assert errors.splitlines() == [
        f"pykbroker dump-log: {other}: none of Kafka's files by its name",
        f"pykbroker dump-log: {tmp_path}/gone.log: No such file or directory",
        f"pykbroker dump-log: {clean}: a directory: see pykbroker check-dir",
    ]
    assert lines[-1] == "entry  epoch: 0  start_offset: 0"
