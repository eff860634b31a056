"""A fixed number of damaged inputs of a fixed seed, in a process with limited memory, for every target."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SEED = 4
# As many as take a few seconds each.
INPUTS = {"decoders": 40_000, "records": 20_000, "broker": 8_000, "disk": 60}
MIB = 512  # that a target may grow by


@pytest.mark.parametrize("target", INPUTS)
def test_nothing_is_found(target: str) -> None:
    """scenarios.md section 4: found elsewhere by fuzzing: apache/kafka#12399, redpanda#8513, redpanda#30160."""
    command = [sys.executable, "-m", "tools.fuzz", target, f"--seed={SEED}", f"--inputs={INPUTS[target]}"]
    run = subprocess.run([*command, f"--memory={MIB}"], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert run.returncode == 0, f"{run.stdout[-3000:]}\n{run.stderr[-3000:]}"
    assert run.stdout.splitlines()[-1] == f"{target} seed {SEED}: {INPUTS[target]} inputs, 0 findings"


def test_a_finding_can_be_replayed() -> None:
    """It is one JSON line with all of the input."""
    from tools.fuzz.findings import Finding

    line = json.loads(str(Finding("records", "produce: AssertionError: x", bytes(range(256)))))
    assert bytes.fromhex(line["hex"]) == bytes(range(256))
