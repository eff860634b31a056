"""python -m tools.fuzz TARGET: mutates, feeds, prints what it found."""

import argparse
import sys
from collections.abc import Callable, Iterator
from importlib import import_module

from tools.fuzz.findings import Finding, limit_memory

TARGETS = ("decoders", "records", "broker", "disk")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--memory", type=int, default=512, help="MiB that it may take beyond what it starts with")
    options = parser.parse_args()
    run: Callable[[int, int], Iterator[Finding]] = import_module(f"tools.fuzz.{options.target}").run
    limit_memory(options.memory)
    count = 0
    for finding in run(options.seed, options.inputs):
        print(finding, flush=True)
        count += 1
    print(f"{options.target} seed {options.seed}: {options.inputs} inputs, {count} findings", flush=True)
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
