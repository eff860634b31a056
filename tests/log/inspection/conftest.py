"""Data directories of the real Kafka to damage: unpacked once, copied for each test."""

import shutil
from pathlib import Path

import pytest

from tests.log.inspection.checking import Inspected
from tests.log.logs import golden_directory


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {state: golden_directory(state, tmp_path_factory.mktemp(state))[0] for state in ("clean", "torn")}


@pytest.fixture
def clean(unpacked: dict[str, Path], tmp_path: Path) -> Inspected:
    return Inspected(Path(shutil.copytree(unpacked["clean"], tmp_path / "data")))


@pytest.fixture
def torn(unpacked: dict[str, Path], tmp_path: Path) -> Inspected:
    return Inspected(Path(shutil.copytree(unpacked["torn"], tmp_path / "data")))
