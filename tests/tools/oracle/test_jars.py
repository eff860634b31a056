"""Fetching the jars: once, whole, tried again; told by what is missing. Maven is played by a script."""

import os
from pathlib import Path

import pytest

from tools.oracle import jars as module
from tools.oracle.jars import OracleError, jars, java

MAVEN = """#!/bin/sh
echo run >> "{home}/runs"
{body}
mkdir jars && touch jars/kafka.jar
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "HOME", tmp_path / "home")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def play_maven(home: Path, body: str = "") -> None:
    script = home / "mvn"
    script.write_text(MAVEN.format(home=home, body=body))
    script.chmod(0o755)


def runs(home: Path) -> int:
    return (home / "runs").read_text().count("run")


def test_they_are_fetched_once(home: Path) -> None:
    play_maven(home)
    folder = jars()
    assert [path.name for path in folder.iterdir()] == ["kafka.jar"]
    assert jars() == folder
    assert runs(home) == 1


def test_a_failure_is_tried_again(home: Path) -> None:
    play_maven(home, f'[ "$(grep -c run {home}/runs)" = 1 ] && exit 1')
    assert jars().is_dir()
    assert runs(home) == 2


def test_two_failures_leave_nothing_behind(home: Path) -> None:
    play_maven(home, "mkdir -p jars && touch jars/half.jar; exit 1")
    with pytest.raises(OracleError, match="cannot be fetched"):
        jars()
    assert [path.name for path in (home / "home").iterdir()] == ["lock"]


def test_another_pom_means_other_jars(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_maven(home)
    before = jars()
    pom = home / "pom.xml"
    pom.write_text("<project/>")
    monkeypatch.setattr(module, "POM", pom)
    assert jars() != before


def test_what_is_missing_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home / "nothing"))
    with pytest.raises(OracleError, match="Maven"):
        jars()
    with pytest.raises(OracleError, match="Java"):
        java("kafka.Kafka")
