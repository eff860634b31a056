"""What a few kilobytes may say to be: refused before it is allocated, in every codec and framing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.record.bombs import BOMBS, LIMIT

ROOT = Path(__file__).resolve().parents[2]
NAMES = [build.__name__ for builds in BOMBS.values() for build in builds]
# These lie about their size or ask for a window that Kafka refuses: no data comes out of them.
LIES = ["snappy_announced", "xerial_announced", "zstd_announced", "zstd_largest_window"]
# The limit itself, the largest block of LZ4 (its library holds it twice), and a little for the others.
MOST_KIB = LIMIT // 1024 + 2 * 4 * 1024 + 1024


@pytest.fixture(scope="module")
def refused() -> dict[str, dict[str, Any]]:
    """Decompressed by a process that has no gigabyte to give."""
    command = [sys.executable, "-m", "tests.record.bombs"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {line["name"]: line for line in map(json.loads, run.stdout.splitlines())}


@pytest.mark.parametrize("name", NAMES)
def test_a_bomb_is_refused_before_it_is_allocated(name: str, refused: dict[str, dict[str, Any]]) -> None:
    found = refused[name]
    assert found["error"] == ("Undecompressable" if name in LIES else "TooLargeDecompressed")
    assert found["grown_kib"] < MOST_KIB
