"""`pykbroker check-dir`: what it says, its exit codes, and that it touches nothing."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pykbroker.cli.check_dir import main
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from tests.log.inspection.checking import flip
from tests.log.inspection.test_lock import answer, broker
from tests.log.logs import golden_directory
from tests.test_broker import Client, produce, running

Run = Callable[..., tuple[int, list[str], str]]
LOG = "txn-0/00000000000000000008.log"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """(exit code, lines on standard output, standard error) of a command."""

    def run(*arguments: object) -> tuple[int, list[str], str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err

    return run


def golden(state: str, folder: Path) -> Path:
    return golden_directory(state, folder)[0]


def test_sound(run: Run, tmp_path: Path) -> None:
    code, lines, errors = run(golden("clean", tmp_path), "--deep")
    assert (code, errors) == (0, "")
    assert lines == ["sound: 26 logs with 113450 bytes"]


def test_a_killed_broker_needs_nothing_but_a_start(run: Run, tmp_path: Path) -> None:
    code, lines, _ = run(golden("killed", tmp_path))
    assert code == 0
    assert len(lines) == 1
    assert lines[0].startswith("needs recovery, no defects: ")
    assert lines[0].endswith("finds nothing lost")


def test_torn_logs_are_told_and_are_no_defects(run: Run, tmp_path: Path) -> None:
    path = golden("torn", tmp_path)
    code, lines, _ = run(path)
    assert code == 0
    assert all(line.startswith("needs recovery") for line in lines)
    assert lines[-1].endswith(f"repairs the {len(lines) - 1} findings above")
    torn = [line for line in lines if "plain-0" in line]
    assert torn == [
        f"needs recovery: {path}/plain-0/00000000000000000111.log, byte 2247, offset 144: torn: a batch of 148 bytes, "
        "but only 141 are left in the file; the next start cuts the log there, 141 bytes"
    ]


def test_a_defect_is_one_line_with_file_byte_and_offset(run: Run, tmp_path: Path) -> None:
    path = golden("clean", tmp_path)
    flip(path / LOG, 200)
    code, lines, _ = run(f"{path}/")
    assert code == 1
    assert lines[0].startswith(f"defect: {path}/{LOG}, byte 156, offset 10: checksum: ")
    assert lines[-1] == "1 defect in 26 logs with 113450 bytes"
    assert len(lines) == 2


def test_json_lines(run: Run, tmp_path: Path) -> None:
    path = golden("clean", tmp_path)
    flip(path / LOG, 200)
    code, lines, _ = run("--json", path)
    finding, summary = map(json.loads, lines)
    assert code == 1
    assert {key: finding[key] for key in ("severity", "kind", "path", "position", "offset")} == {
        "severity": "defect",
        "kind": "checksum",
        "path": f"{path}/{LOG}",
        "position": 156,
        "offset": 10,
    }
    assert (summary["defects"], summary["logs"], summary["clean_shutdown"]) == (1, 26, True)


def test_nothing_is_changed(run: Run, tmp_path: Path) -> None:
    path = golden("torn", tmp_path)

    def state() -> dict[str, tuple[int, int]]:
        return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in path.rglob("*")}

    before = state()
    run(path, "--deep")
    assert state() == before


def test_refused_while_a_broker_runs(run: Run, tmp_path: Path) -> None:
    path = golden("clean", tmp_path)
    with broker(path) as process:
        assert answer(process) == "held"
        code, lines, errors = run(path)
        process.communicate()
    assert (code, lines) == (2, [])
    assert errors == (f"pykbroker check-dir: the data directory {path} is in use by a running broker: stop it first\n")


def test_other_directories_are_refused(run: Run, tmp_path: Path) -> None:
    code, _, errors = run(tmp_path)
    assert code == 2
    assert "is no data directory" in errors
    code, _, errors = run(tmp_path / "gone")
    assert code == 2
    assert errors == f"pykbroker check-dir: {tmp_path}/gone: No such file or directory\n"


async def test_our_own_directory_stopped_and_as_a_kill_would_leave_it(tmp_path: Path, run: Run) -> None:
    for _ in range(2):
        async with running(tmp_path) as (_, client):
            await make_group_topic(client)
            for number in range(20):
                await produce(client, "ours", b"%d" % number)
            copied = shutil.copytree(tmp_path / "data", tmp_path / "killed", dirs_exist_ok=True)
        code, lines, _ = run(tmp_path / "data", "--deep")
        assert (code, len(lines)) == (0, 1)
        assert lines[0].startswith("sound: ")
    code, lines, _ = run(copied)
    assert (code, len(lines)) == (0, 1)
    assert lines[0].startswith("needs recovery, no defects: ")


async def make_group_topic(client: Client) -> None:
    names = [MetadataRequestTopic(name="ours"), MetadataRequestTopic(name="__consumer_offsets")]
    await client.ask(MetadataRequest(topics=names, allow_auto_topic_creation=True), 8)


def test_as_a_program(tmp_path: Path) -> None:
    path = golden("clean", tmp_path)
    command = [sys.executable, "-m", "pykbroker", "check-dir", str(path)]
    assert subprocess.run(command, capture_output=True, check=True).stdout.startswith(b"sound: ")
