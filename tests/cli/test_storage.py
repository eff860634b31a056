"""pykbroker format, info, random-uuid: options to what is written, and one clear line for every refusal."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pykbroker.cli.main import main
from pykbroker.cli.storage import format_fresh
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.errors import ConfigError
from pykbroker.ids import Uuid
from pykbroker.log.files import Files
from pykbroker.log.log_dir import LogDirError, read_meta_properties
from pykbroker.metadata.features import INITIAL_FEATURES
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from pykbroker.protocol.persisted.metadata.user_scram_credential_record import UserScramCredentialRecord
from pykbroker.raft import snapshot
from pykbroker.raft.formatting import read_bootstrap

CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
DIRECTORY = "JEXY6aqzQY-32P5TStzaFg"
FIRST_VOTERS = "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"
COMBINED = "listeners=PLAINTEXT://:19092,CONTROLLER://:19093"
STATIC, DYNAMIC = "controller.quorum.voters=3@localhost:19093", "controller.quorum.bootstrap.servers=localhost:19093"


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    yield
    logging.getLogger("pykbroker.config").setLevel(logging.NOTSET)


def properties(folder: Path, *lines: str, roles: str = "broker,controller") -> str:
    file = folder / "server.properties"
    file.write_text("\n".join([f"process.roles={roles}", "node.id=3", f"log.dirs={folder}/a,{folder}/b", *lines]))
    return str(file)


def formatted(file: str, *options: str) -> int:
    return main(["format", "--config", file, "--cluster-id", CLUSTER, *options])


def levels(folder: Path) -> dict[str, int]:
    records = read_bootstrap(str(folder)) or []
    return {record.name: record.feature_level for record in records if isinstance(record, FeatureLevelRecord)}


def test_all_directories_are_formatted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = properties(tmp_path, COMBINED, STATIC, f"metadata.log.dir={tmp_path}/meta")
    assert formatted(file) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Formatting metadata directory {tmp_path}/meta with metadata.version 4.3-IV0.",
        f"Formatting data directory {tmp_path}/a with metadata.version 4.3-IV0.",
        f"Formatting data directory {tmp_path}/b with metadata.version 4.3-IV0.",
    ]
    for name in ("a", "b", "meta"):
        found = read_meta_properties(Files(), str(tmp_path / name))
        assert found is not None
        assert (found.cluster_id, found.node_id) == (CLUSTER, 3)
        assert levels(tmp_path / name)["metadata.version"] == 30
    assert formatted(file) == 2
    assert formatted(file, "-g") == 0
    assert capsys.readouterr().out == "All log directories are formatted already.\n"


def test_release_features_and_credentials(tmp_path: Path) -> None:
    file = properties(tmp_path, COMBINED, STATIC)
    assert formatted(file, "-r", "4.0", "-f", "group.version=0", "-S", "SCRAM-SHA-256=[name=a,password=b]") == 0
    assert levels(tmp_path / "a") == {"metadata.version": 25, "transaction.version": 2}
    credential = (read_bootstrap(str(tmp_path / "a")) or [])[-1]
    assert isinstance(credential, UserScramCredentialRecord)
    assert credential.name == "a"


@pytest.mark.parametrize(
    ("listeners", "host"),
    [
        ([COMBINED], "localhost"),
        (["listeners=PLAINTEXT://:19092,CONTROLLER://h1:19093"], "h1"),
        (["listeners=PLAINTEXT://:19092,CONTROLLER://0.0.0.0:19093"], "localhost"),
        ([COMBINED, "advertised.listeners=PLAINTEXT://h:1,CONTROLLER://told:19093"], "told"),
    ],
)
def test_a_standalone_controller_is_the_first_voter(tmp_path: Path, listeners: list[str], host: str) -> None:
    assert formatted(properties(tmp_path, *listeners, DYNAMIC), "--standalone") == 0
    voters = snapshot.read(str(tmp_path / "a" / FIRST_VOTERS)).quorum.voters
    found = read_meta_properties(Files(), str(tmp_path / "a"))
    assert voters is not None
    assert found is not None
    (voter,) = voters.voters
    assert (voter.voter_id, voter.voter_directory_id) == (3, found.directory_id)
    assert [(each.name, each.host, each.port) for each in voter.endpoints] == [("CONTROLLER", host, 19093)]


def test_voters_that_are_named(tmp_path: Path) -> None:
    assert formatted(properties(tmp_path, COMBINED, DYNAMIC), "-I", f"3@h:19093:{DIRECTORY}") == 0
    found = read_meta_properties(Files(), str(tmp_path / "a"))
    assert found is not None
    assert found.directory_id == Uuid.parse(DIRECTORY)


def test_a_controller_that_joins_later(tmp_path: Path) -> None:
    assert formatted(properties(tmp_path, COMBINED, DYNAMIC), "--no-initial-controllers") == 0
    assert not (tmp_path / "a" / FIRST_VOTERS).exists()


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([COMBINED, STATIC], ["-r", "9.9"], "9.9 is no release whose metadata.version is known here"),
        ([COMBINED, STATIC], ["-f", "foo=1"], "foo is no feature of Kafka 4.3"),
        ([COMBINED, STATIC], ["-f", "share.version"], "share.version must be NAME=LEVEL"),
        ([COMBINED, STATIC], ["-S", "SCRAM-SHA-256=[name=a]"], "the credential of a needs a password"),
        ([COMBINED, STATIC], ["-r", "3.4", "-S", "SCRAM-SHA-256=[name=a,password=b]"], "3.4-IV0 has no SCRAM"),
        ([COMBINED, STATIC], ["-s"], "--standalone is for a dynamic quorum, but controller.quorum.voters is set"),
        ([COMBINED, STATIC], ["-I", "x"], "--initial-controllers is for a dynamic quorum"),
        ([COMBINED, STATIC], ["-f", "kraft.version=1"], "kraft.version=1 is for dynamic quorums"),
        ([COMBINED, DYNAMIC], [], "this controller's quorum is dynamic: choose one of --standalone"),
        ([COMBINED, DYNAMIC], ["-I", "3@h:1"], "3@h:1 is no voter: write ID@HOST:PORT:DIRECTORY_ID"),
        ([COMBINED, DYNAMIC], ["-N", "-f", "kraft.version=0"], "kraft.version=0 needs voters"),
        (["listeners=PLAINTEXT://:19092", DYNAMIC], ["-s"], "none of listeners=PLAINTEXT://:19092 is named"),
        (["log.segment.bytes=x"], [], "server.properties:4: log.segment.bytes=x: "),
    ],
)
def test_a_refusal_is_one_line_and_writes_nothing(
    tmp_path: Path, lines: list[str], options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert formatted(properties(tmp_path, *lines), *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pykbroker format: ")
    assert message in line
    assert not (tmp_path / "a").exists()


def test_a_broker_is_no_voter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = properties(tmp_path, "listeners=PLAINTEXT://:19092", DYNAMIC, roles="broker")
    assert formatted(file, "-s") == 2
    assert "which process.roles=broker is none" in capsys.readouterr().err
    assert formatted(file) == 0


@pytest.mark.parametrize("text", ["", "two words", "a=b"])
def test_a_cluster_id_is_one_word(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["format", "-c", properties(tmp_path, COMBINED, STATIC), "-t", text]) == 2
    assert "--cluster-id=" in capsys.readouterr().err


def test_a_cluster_id_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["format", "-c", properties(tmp_path)])
    assert caught.value.code == 2
    assert "--cluster-id" in capsys.readouterr().err


def test_a_node_formats_itself_before_its_first_start(tmp_path: Path) -> None:
    texts = {"log.dirs": f"{tmp_path}/a,{tmp_path}/b", "node.id": "3"}
    format_fresh(BrokerConfig(texts), CLUSTER)
    assert levels(tmp_path / "b") == INITIAL_FEATURES
    assert not (tmp_path / "a" / FIRST_VOTERS).exists()
    format_fresh(BrokerConfig(texts), CLUSTER)
    with pytest.raises(LogDirError, match="belongs to cluster"):
        format_fresh(BrokerConfig(texts), "other")


def test_a_controller_of_a_dynamic_quorum_formats_itself_as_its_voter(tmp_path: Path) -> None:
    texts = {"log.dirs": str(tmp_path), "controller.quorum.bootstrap.servers": "localhost:19093"}
    with pytest.raises(ConfigError, match="a voter of a dynamic quorum is known by its listener"):
        format_fresh(BrokerConfig(texts), CLUSTER)
    format_fresh(BrokerConfig({**texts, "listeners": "PLAINTEXT://:1,CONTROLLER://:19093"}), CLUSTER)
    voters = snapshot.read(str(tmp_path / FIRST_VOTERS)).quorum.voters
    assert voters is not None
    assert [voter.voter_id for voter in voters.voters] == [1]


def test_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = properties(tmp_path, COMBINED, STATIC)
    assert main(["info", "-c", file]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"problem: {tmp_path}/a: no such directory",
        f"problem: {tmp_path}/b: no such directory",
    ]
    formatted(file)
    (tmp_path / "b" / "meta.properties").write_text("version=1\nnode.id=4\ncluster.id=other\ndirectory.id=" + DIRECTORY)
    capsys.readouterr()
    assert main(["info", "-c", file]) == 1
    first, second, *problems = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path}/a: cluster.id={CLUSTER} node.id=3 directory.id=")
    assert second == f"{tmp_path}/b: cluster.id=other node.id=4 directory.id={DIRECTORY}"
    assert problems == [
        f"problem: the directories belong to different clusters: {CLUSTER}, other",
        "problem: the directories belong to different nodes: 3, 4",
    ]


def test_a_random_uuid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["random-uuid"]) == 0
    assert len(Uuid.parse(capsys.readouterr().out.strip())) == 16
