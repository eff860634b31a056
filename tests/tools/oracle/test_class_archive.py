"""When the archive of Kafka's classes is made; that Kafka starts with it is shown by compat_tests. Kafka is played."""

import os
from pathlib import Path

import pytest

from tools.oracle import class_archive as module
from tools.oracle.jars import OracleError


class Recorder:
    """In place of a Kafka that starts and stops."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, folder: Path, archive: Path) -> None:
        self.runs += 1
        archive.write_text(f"classes {self.runs}")


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    folder = tmp_path / "jars"
    folder.mkdir()
    recorder = Recorder()
    monkeypatch.setattr(module, "HOME", tmp_path)
    monkeypatch.setattr(module, "CLASSES", tmp_path / "classes.jsa")
    monkeypatch.setattr(module, "jars", lambda: folder)
    monkeypatch.setattr(module, "_record", recorder)
    return recorder


def test_it_is_made_once(recorder: Recorder, tmp_path: Path) -> None:
    module.make()
    module.make()
    assert recorder.runs == 1
    assert (tmp_path / "classes.jsa").read_text() == "classes 1"


def test_other_jars_and_another_jvm_need_another(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module.make()
    os.utime(tmp_path / "jars", (1, 1))
    module.make()
    assert recorder.runs == 2
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(java.parent))
    module.make()
    assert recorder.runs == 3
    (tmp_path / "release").write_text('JAVA_VERSION="99"')
    module.make()
    assert recorder.runs == 4


def test_what_fails_leaves_nothing_behind(recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path, archive: Path) -> None:
        archive.write_text("half")
        raise OracleError("Kafka exited")

    monkeypatch.setattr(module, "_record", fail)
    with pytest.raises(OracleError, match="exited"):
        module.make()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jars", "lock"]
