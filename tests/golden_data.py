"""Where the golden data of the real Kafka lies: $PYKBROKER_GOLDEN, else tests/golden."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(os.environ.get("PYKBROKER_GOLDEN") or Path(__file__).resolve().parent / "golden")


def golden_path(*parts: str) -> Path:
    """The path of a golden file. Fails loudly when the golden data is not there: a test must not pass without it."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(f"golden data {'/'.join(parts)} not found below {ROOT}")
    return path


def golden_lines(name: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of one golden file, in order."""
    with gzip.open(golden_path(*name.split("/")), "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
