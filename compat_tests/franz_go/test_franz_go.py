"""The Go client franz-go, by a program that uses it as a user would (main.go)."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built program. Without Go it is left out; in CI tools/dev.py counts what is left out as failed."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go here")
    built = tmp_path_factory.mktemp("franz-go") / "franz_go"
    subprocess.run([go, "build", "-mod=readonly", "-o", built, "."], cwd=SOURCE, check=True)
    return built


@pytest.mark.timeout(400)  # the first build compiles the client as well
def test_a_go_program(program: Path, bootstrap: str, unique: Callable[[str], str]) -> None:
    done = subprocess.run([program, bootstrap, unique("go")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(400)
@pytest.mark.parametrize("protocol", ["eager", "cooperative", "consumer"])
def test_three_chained_groups_rebalance_at_once(
    program: Path, bootstrap: str, unique: Callable[[str], str], protocol: str
) -> None:
    """No living member is unknown, and no record comes twice, be the members dynamic or static (chain.go, link.go).

    Scenario 29: Nisshi failed TestGroupETL of franz-go with UNKNOWN_MEMBER_ID and a duplicate offset.
    """
    command = [program, bootstrap, unique("chain"), protocol]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
