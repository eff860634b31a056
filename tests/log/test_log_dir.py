"""One log directory: whose it is, whether it was left clean, who holds it, how its partitions are named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log import log_dir
from pykbroker.log.files import Files
from pykbroker.log.log_dir import DirectoryLock, LogDirError, MetaProperties
from tests.log.logs import golden_directory

OURS = MetaProperties("MkU3OEVBNTcwNTJENDM2Qg", 1, Uuid.parse("PEXy-nNgToGi2RBdUPHsjQ"))


class TestMetaProperties:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        log_dir.write_meta_properties(Files(), str(tmp_path), OURS)
        assert log_dir.read_meta_properties(Files(), str(tmp_path)) == OURS
        assert sorted((tmp_path / "meta.properties").read_text().splitlines()) == [
            "cluster.id=MkU3OEVBNTcwNTJENDM2Qg",
            "directory.id=PEXy-nNgToGi2RBdUPHsjQ",
            "node.id=1",
            "version=1",
        ]

    def test_kafkas_file(self, tmp_path: Path) -> None:
        data, manifest = golden_directory("clean", tmp_path)
        found = log_dir.read_meta_properties(Files(), str(data))
        assert found is not None
        assert (found.cluster_id, found.node_id) == (manifest["served"]["cluster_id"], 1)
        kafkas = {line for line in (data / "meta.properties").read_text().splitlines() if not line.startswith("#")}
        log_dir.write_meta_properties(Files(), str(data), found)
        assert set((data / "meta.properties").read_text().splitlines()) == kafkas

    def test_a_fresh_directory(self, tmp_path: Path) -> None:
        assert log_dir.read_meta_properties(Files(), str(tmp_path)) is None

    def test_a_directory_without_an_id_gets_one_for_good(self, tmp_path: Path) -> None:
        (tmp_path / "meta.properties").write_text("version=1\nnode.id=1\ncluster.id=c\n")
        first = log_dir.read_meta_properties(Files(), str(tmp_path))
        assert first is not None
        assert log_dir.read_meta_properties(Files(), str(tmp_path)) == first

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("version=0\nbroker.id=1\n", "version 0 is not known"),
            ("", "version None"),
            ("version=1\nnode.id=1\n", "cluster.id"),
            ("version=1\ncluster.id=c\n", "node.id"),
            ("version=1\ncluster.id=c\nnode.id=one\n", "incomplete"),
            ("version=1\ncluster.id=c\nnode.id=1\ndirectory.id=short\n", "incomplete"),
        ],
    )
    def test_others_are_refused(self, text: str, message: str, tmp_path: Path) -> None:
        (tmp_path / "meta.properties").write_text(text)
        with pytest.raises(LogDirError, match=message):
            log_dir.read_meta_properties(Files(), str(tmp_path))


class TestCleanShutdown:
    def test_the_bytes_are_kafkas(self, tmp_path: Path) -> None:
        assert log_dir.read_clean_shutdown(Files(), str(tmp_path)) is None
        log_dir.write_clean_shutdown(Files(), str(tmp_path), 12)
        assert (tmp_path / ".kafka_cleanshutdown").read_bytes() == b'{"version":0,"brokerEpoch":12}'
        assert log_dir.read_clean_shutdown(Files(), str(tmp_path)) == 12
        log_dir.remove_clean_shutdown(Files(), str(tmp_path))
        assert log_dir.read_clean_shutdown(Files(), str(tmp_path)) is None

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"brokerEpoch":null}'])
    def test_one_that_says_no_epoch_is_clean_all_the_same(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / ".kafka_cleanshutdown").write_bytes(content)
        assert log_dir.read_clean_shutdown(Files(), str(tmp_path)) == -1


class TestLock:
    def test_another_process_is_kept_out(self, tmp_path: Path) -> None:
        lock = DirectoryLock(str(tmp_path))
        script = "import sys; from pykbroker.log.log_dir import DirectoryLock; DirectoryLock(sys.argv[1])"
        command = [sys.executable, "-c", script, str(tmp_path)]
        root = Path(__file__).resolve().parents[2]
        refused = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert refused.returncode == 1
        assert "is in use by another broker" in refused.stderr
        lock.release()
        subprocess.run(command, cwd=root, check=True)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("t-0", TopicPartition("t", 0)),
            ("a-b.c_d-12", TopicPartition("a-b.c_d", 12)),
            ("topic-1-0", TopicPartition("topic-1", 0)),
            ("t", None), ("t-", None), ("-0", None), ("t-x", None), ("t-0.log", None), ("meta.properties", None),
            ("t-0.0123456789abcdef0123456789abcdef-delete", None),
            ("t-0.0123456789abcdef0123456789abcdef-stray", None),
            ("t-0.0123456789abcdef0123456789abcdef-future", None),
        ],
    )  # fmt: skip
    def test_partitions(self, name: str, expected: TopicPartition | None) -> None:
        assert log_dir.parse_partition_directory(name) == expected

    @pytest.mark.parametrize("topic", ["t", "x" * 249])
    def test_deleted_ones(self, topic: str) -> None:
        name = log_dir.deleted_name(TopicPartition(topic, 123))
        assert len(name) <= 255
        assert log_dir.is_doomed(name)
        assert log_dir.parse_partition_directory(name) is None
        front, _, unique = name.removesuffix("-delete").rpartition(".")
        assert front.endswith("-123")
        assert topic.startswith(front.removesuffix("-123"))
        assert len(bytes.fromhex(unique)) == 16
        assert name != log_dir.deleted_name(TopicPartition(topic, 123))


def test_making_the_directory(tmp_path: Path) -> None:
    log_dir.prepare(f"{tmp_path}/a/b")
    log_dir.prepare(f"{tmp_path}/a/b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(LogDirError, match=r"file/x cannot be made: Not a directory"):
        log_dir.prepare(f"{tmp_path}/file/x")


def test_disk_space(tmp_path: Path) -> None:
    total, usable = log_dir.disk_space(str(tmp_path))
    assert 0 < usable <= total
    assert total == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
