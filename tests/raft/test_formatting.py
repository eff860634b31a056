"""bootstrap.checkpoint, first voters and meta.properties. data/formatted.json is what kafka-storage 4.3.1 wrote."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pykbroker.ids import Uuid
from pykbroker.log.files import Files
from pykbroker.log.log_dir import LogDirError, read_meta_properties
from pykbroker.metadata.features import INITIAL_FEATURES
from pykbroker.metadata.initial_features import initial_levels
from pykbroker.protocol.message import Message
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from pykbroker.raft.dynamic_voters import DynamicVoter, parse
from pykbroker.raft.formatting import Formatter, read_bootstrap, write_bootstrap
from pykbroker.record.batch import iterate_batches
from pykbroker.security.scram_arguments import parse as parse_credential
from tests.log.logs import golden_directory
from tests.raft.logs import NOW

FORMATTED: dict[str, str] = json.loads((Path(__file__).parent / "data" / "formatted.json").read_text())
# When Kafka wrote the voters: the snapshot's header says it.
VOTERS_AT = {"voters-3-and-5": 1795737844833, "voter-5": 1795737849922}
ONE, TWO = "JEXY6aqzQY-32P5TStzaFg", "MvDxzVmcRsaTz33bUuRU6A"
FIRST_VOTERS = "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"


def levels(records: "list[Message] | None") -> list[tuple[str, int]]:
    return [(record.name, record.feature_level) for record in records or () if isinstance(record, FeatureLevelRecord)]


def timeless(data: bytes) -> bytes:
    """Without the timestamps of the batches, and so without their checksums."""
    made = bytearray(data)
    for _, position in iterate_batches(data):
        made[position + 17 : position + 21] = bytes(4)
        made[position + 27 : position + 43] = bytes(16)
    return bytes(made)


def kafkas(case: str) -> bytes:
    return timeless(bytes.fromhex(FORMATTED[case]))


def formatter(*directories: Path, **values: Any) -> Formatter:
    paths = [str(path) for path in directories]
    made = Formatter(3, CLUSTER, paths, paths[0], initial_levels(None, {}, has_dynamic_quorum=False, unstable=False))
    return made._replace(**values)


def run(plan: Formatter, *, now: int = NOW, ignore: bool = False) -> list[tuple[str, str]]:
    return list(plan.run(Files(), now, ignore_formatted=ignore))


def test_what_is_formatted_is_read_again(tmp_path: Path) -> None:
    write_bootstrap(str(tmp_path), INITIAL_FEATURES, NOW)
    assert levels(read_bootstrap(str(tmp_path))) == list(INITIAL_FEATURES.items())
    assert [path.name for path in tmp_path.iterdir()] == ["bootstrap.checkpoint"]


def test_metadata_version_is_the_first_feature() -> None:
    assert next(iter(INITIAL_FEATURES)) == "metadata.version"


def test_kafkas_own_is_read(tmp_path: Path) -> None:
    data, _ = golden_directory("clean", tmp_path)
    assert levels(read_bootstrap(str(data))) == [
        ("metadata.version", 30),
        ("eligible.leader.replicas.version", 1),
        ("group.version", 1),
        ("share.version", 1),
        ("streams.version", 1),
        ("transaction.version", 2),
    ]


def test_an_unformatted_directory_has_none(tmp_path: Path) -> None:
    assert read_bootstrap(str(tmp_path)) is None


# A node's directories


@pytest.mark.parametrize(
    ("case", "release", "chosen", "credentials"),
    [
        ("default", None, {}, ()),
        ("release-3.7.1", 19, {}, ()),
        ("features", None, {"share.version": 0, "group.version": 0}, ()),
        (
            "scram",
            None,
            {},
            (
                "SCRAM-SHA-256=[name=alice,iterations=8192,"
                'salt="MWx2NHBkbnc0ZndxN25vdGN4bTB5Y3drZno=",password=alice-secret]',
                'SCRAM-SHA-512=[name=bob,iterations=8192,salt="N3E=",saltedpassword="YCE="]',
            ),
        ),
    ],
)
def test_the_bootstrap_snapshot_is_kafkas(
    tmp_path: Path, case: str, release: int | None, chosen: dict[str, int], credentials: Sequence[str]
) -> None:
    made = initial_levels(release, chosen, has_dynamic_quorum=False, unstable=False)
    run(formatter(tmp_path, levels=made, credentials=[parse_credential(text) for text in credentials]))
    path = tmp_path / "bootstrap.checkpoint"
    assert timeless(path.read_bytes()) == kafkas(case)
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_snapshot_of_the_first_voters_is_kafkas(tmp_path: Path) -> None:
    run(formatter(tmp_path, voters=parse(f"5@h5:8083:{TWO}")), now=VOTERS_AT["voter-5"])
    path = tmp_path / FIRST_VOTERS
    assert timeless(path.read_bytes()) == kafkas("voter-5")
    assert path.stat().st_mode & 0o777 == 0o400


def test_several_voters(tmp_path: Path) -> None:
    """Java's hash map names them in another order, which nobody reads anything into."""
    voters = parse(f"3@h1:19093:{ONE},5@[::1]:8083:{TWO}")[::-1]
    run(formatter(tmp_path, voters=voters), now=VOTERS_AT["voters-3-and-5"])
    assert timeless((tmp_path / FIRST_VOTERS).read_bytes()) == kafkas("voters-3-and-5")


def test_a_voters_directory_has_the_id_that_the_voters_name(tmp_path: Path) -> None:
    plan = formatter(tmp_path / "b", tmp_path / "a", voters=[DynamicVoter(3, "h", 1, Uuid.parse(ONE))])
    assert run(plan) == [
        ("dynamic metadata voter directory", str(tmp_path / "b")),
        ("data directory", str(tmp_path / "a")),
    ]
    properties = read_meta_properties(Files(), str(tmp_path / "b"))
    assert properties == (CLUSTER, 3, Uuid.parse(ONE))
    other = read_meta_properties(Files(), str(tmp_path / "a"))
    assert other is not None
    assert other.directory_id != properties.directory_id
    assert not (tmp_path / "a" / FIRST_VOTERS).exists()


def test_a_node_that_is_no_voter_is_told_them_all_the_same(tmp_path: Path) -> None:
    plan = formatter(tmp_path, voters=[DynamicVoter(5, "h", 1, Uuid.parse(ONE))])
    assert run(plan) == [("dynamic metadata directory", str(tmp_path))]
    assert (tmp_path / FIRST_VOTERS).exists()


def test_a_static_quorum_is_in_no_snapshot(tmp_path: Path) -> None:
    assert run(formatter(tmp_path)) == [("metadata directory", str(tmp_path))]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bootstrap.checkpoint", "meta.properties"]


def test_what_is_formatted_stays_as_it_is(tmp_path: Path) -> None:
    run(formatter(tmp_path / "a"))
    before = (tmp_path / "a" / "meta.properties").read_bytes()
    both = formatter(tmp_path / "a", tmp_path / "b")
    with pytest.raises(LogDirError, match=r"/a is formatted already; --ignore-formatted leaves it"):
        run(both)
    assert not (tmp_path / "b").exists()
    assert run(both, ignore=True) == [("data directory", str(tmp_path / "b"))]
    assert run(both, ignore=True) == []
    assert (tmp_path / "a" / "meta.properties").read_bytes() == before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cluster_id": "other"}, f"belongs to cluster {CLUSTER}, not other"),
        ({"node_id": 4}, "belongs to node 3, not 4: set node.id=3"),
    ],
)
def test_a_directory_of_another_is_refused(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    run(formatter(tmp_path / "a"))
    with pytest.raises(LogDirError, match=message):
        run(formatter(tmp_path / "a", tmp_path / "b", **values), ignore=True)
    assert not (tmp_path / "b").exists()


def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(LogDirError, match=r"/a cannot be read: Not a directory"):
        run(formatter(tmp_path / "a"))
