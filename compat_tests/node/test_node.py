"""The Node client kafkajs, by a program that uses it as a user would (program.js)."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installed in a folder of its own. Without Node it is left out; in CI tools/dev.py counts that as failed."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no Node here")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "program.js"):
        shutil.copy(SOURCE / name, folder)
    subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"], cwd=folder, check=True)
    return folder / "program.js"


def test_a_node_program(program: Path, bootstrap: str, unique: Callable[[str], str]) -> None:
    done = subprocess.run(
        ["node", program, bootstrap, unique("node")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
