"""Feature levels of a fresh cluster. The figures are those that kafka-storage 4.3.1 wrote and printed."""

import pytest

from pykbroker.metadata.features import INITIAL_FEATURES
from pykbroker.metadata.initial_features import InvalidFeature, initial_levels, metadata_version_of, parse_levels

Levels = dict[str, int]


def levels(release: int | None = None, *, dynamic: bool = False, unstable: bool = False, **chosen: int) -> Levels:
    named = {name.replace("_", "."): level for name, level in chosen.items()}
    return initial_levels(release, named, has_dynamic_quorum=dynamic, unstable=unstable)


def test_the_default_is_what_a_broker_formats_by_itself() -> None:
    made = levels()
    assert {name: level for name, level in made.items() if level} == INITIAL_FEATURES
    assert list(made) == ["metadata.version", *sorted(set(made) - {"metadata.version"})]


@pytest.mark.parametrize(
    ("release", "level"),
    [
        ("4.3", 30), ("4.3.1", 30), ("4.3-IV0", 30), ("4.2", 29), ("4.2-IV0", 28), ("4.0", 25), ("3.7.1", 19),
        ("3.3", 7),
    ],
)  # fmt: skip
def test_a_release_has_a_metadata_version(release: str, level: int) -> None:
    assert metadata_version_of(release, unstable=False) == level


@pytest.mark.parametrize("release", ["9.9", "4.4", "4.4-IV0", "4", "", "4.3-IV1"])
def test_an_unknown_release_is_told_the_known_ones(release: str) -> None:
    with pytest.raises(InvalidFeature, match=r"is no release .* 3.3-IV3, .* 4.3-IV0$"):
        metadata_version_of(release, unstable=False)


def test_an_unstable_level_has_no_short_name() -> None:
    assert metadata_version_of("4.4-IV0", unstable=True) == 31
    with pytest.raises(InvalidFeature):
        metadata_version_of("4.4", unstable=True)


def test_features_follow_the_release() -> None:
    at_4_0 = levels(25)
    assert at_4_0 == {
        "metadata.version": 25,
        "eligible.leader.replicas.version": 0,
        "group.version": 1,
        "kraft.version": 0,
        "share.version": 0,
        "streams.version": 0,
        "transaction.version": 2,
    }
    assert {name for name, level in levels(19).items() if level} == {"metadata.version"}
    assert levels(unstable=True)["metadata.version"] == 31


def test_chosen_levels_count() -> None:
    assert levels(share_version=0)["share.version"] == 0
    assert levels(metadata_version=29)["metadata.version"] == 29
    assert levels(transaction_version=1)["transaction.version"] == 1


def test_the_quorum_decides_about_kraft_version() -> None:
    assert levels(dynamic=True)["kraft.version"] == 1
    assert levels(dynamic=True, kraft_version=1)["kraft.version"] == 1
    with pytest.raises(InvalidFeature, match=r"kraft.version=0 needs voters in controller.quorum.voters"):
        levels(dynamic=True, kraft_version=0)
    with pytest.raises(InvalidFeature, match=r"kraft.version=1 is for dynamic quorums"):
        levels(kraft_version=1)


@pytest.mark.parametrize(
    ("release", "chosen", "message"),
    [
        (None, {"foo": 1}, "foo is no feature of Kafka 4.3; there are eligible.leader.replicas.version, group.version"),
        (None, {"share_version": 7}, "share.version has no level 7, only 0 to 1"),
        (30, {"metadata_version": 29}, "metadata.version=29 and a release are both given"),
        (None, {"metadata_version": 99}, "metadata.version=99 does not exist: levels are 7 to 30"),
        (None, {"metadata_version": 31}, r"metadata.version=31 \(4.4-IV0\) is not yet stable"),
        (21, {"eligible_leader_replicas_version": 1}, "needs metadata.version=23 at least, which is 21"),
    ],
)
def test_what_cannot_be_is_told(release: int | None, chosen: dict[str, int], message: str) -> None:
    named = {name.replace("_", "."): level for name, level in chosen.items()}
    with pytest.raises(InvalidFeature, match=message):
        initial_levels(release, named, has_dynamic_quorum=False, unstable=False)


def test_levels_are_parsed() -> None:
    assert parse_levels(["share.version=0", " group.version = 1", "share.version=1"]) == {
        "share.version": 1,
        "group.version": 1,
    }


@pytest.mark.parametrize("text", ["foo", "share.version=x", "share.version=", "share.version=-1", "a=40000"])
def test_a_level_that_is_none_is_told(text: str) -> None:
    with pytest.raises(InvalidFeature, match="must be NAME=LEVEL"):
        parse_levels([text])
