"""`pykbroker format` beside kafka-storage format: the same files, and each starts on what the other formatted."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.brokers import READY, ROOT
from pykbroker.record.batch import iterate_batches
from tools.oracle.cluster import CLUSTER_ID, Node, format_storage, free_ports

pytestmark = pytest.mark.own_broker
SECONDS = 60
DIRECTORY = "JEXY6aqzQY-32P5TStzaFg"
STATIC, DYNAMIC = "controller.quorum.voters=1@127.0.0.1:{1}", "controller.quorum.bootstrap.servers=127.0.0.1:{1}"
SCRAM = 'SCRAM-SHA-256=[name=alice,salt="MWx2NHBkbnc0ZndxN25vdGN4bTB5Y3drZno=",password=alice-secret]'


def properties(folder: Path, quorum: str) -> tuple[Path, list[int]]:
    folder.mkdir(parents=True, exist_ok=True)
    ports = free_ports(2)
    lines = [
        "process.roles=broker,controller",
        "node.id=1",
        "controller.listener.names=CONTROLLER",
        f"listeners=PLAINTEXT://127.0.0.1:{ports[0]},CONTROLLER://127.0.0.1:{ports[1]}",
        "offsets.topic.replication.factor=1",
        f"log.dirs={folder}/data,{folder}/more",
        quorum.format(*ports),
    ]
    file = folder / "server.properties"
    file.write_text("\n".join(lines))
    return file, ports


def ours(file: Path, *options: str) -> None:
    command = [sys.executable, "-m", "pykbroker", "format", "-c", str(file), "-t", CLUSTER_ID, *options]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=SECONDS)


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """What a node's directories hold, without times, random ids and checksums over them."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".checkpoint":
            mode = f"{path.stat().st_mode:o}"
            yield f"{name} {mode}", _timeless(path.read_bytes(), has_time="__cluster_metadata" in name)
        elif path.name == "meta.properties":
            lines = sorted(line for line in path.read_text().splitlines() if not line.startswith("#"))
            yield name, "\n".join(line.partition("directory.id=")[0] or "directory.id" for line in lines).encode()


def _timeless(data: bytes, *, has_time: bool) -> bytes:
    made = bytearray(data)
    for index, (_, position) in enumerate(iterate_batches(data)):
        made[position + 17 : position + 21] = bytes(4)  # checksum
        made[position + 27 : position + 43] = bytes(16)  # timestamps
        if has_time and index == 0:
            # The time that the header record itself holds, behind its key.
            value = data.index(b"\x00\x00\x00\x03", position + 61) + 4
            made[value + 3 : value + 11] = bytes(8)
    return bytes(made)


@pytest.mark.parametrize(
    ("quorum", "options"),
    [
        (STATIC, []),
        (STATIC, ["-r", "4.0", "-f", "group.version=0"]),
        (STATIC, ["-S", SCRAM]),
        (DYNAMIC, ["--no-initial-controllers"]),
        (DYNAMIC, ["--initial-controllers", f"1@localhost:9093:{DIRECTORY}"]),
    ],
    ids=["static", "release", "scram", "joins later", "voters"],
)
def test_the_same_files(quorum: str, options: list[str], tmp_path: Path) -> None:
    file, _ = properties(tmp_path / "ours", quorum)
    ours(file, *options)
    file, _ = properties(tmp_path / "kafka", quorum)
    format_storage(file, CLUSTER_ID, options)
    assert list(files(tmp_path / "ours")) == list(files(tmp_path / "kafka"))


def test_kafka_starts_on_what_we_formatted(tmp_path: Path) -> None:
    file, ports = properties(tmp_path, DYNAMIC)
    ours(file, "--standalone", "-S", SCRAM)
    node = Node(file, ports[0], tmp_path, heap="384m")
    try:
        node.await_port()
    finally:
        node.stop()
    assert " ERROR " not in node.output.read_text()


@pytest.mark.parametrize(("quorum", "option"), [(STATIC, "-g"), (DYNAMIC, "--standalone")], ids=["static", "dynamic"])
def test_we_start_on_what_kafka_formatted(quorum: str, option: str, tmp_path: Path) -> None:
    file, ports = properties(tmp_path, quorum)
    format_storage(file, CLUSTER_ID, [option])
    command = [sys.executable, "-m", "pykbroker", "serve", "--config", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == f"{READY}127.0.0.1:{ports[0]}\n"
            process.terminate()
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
