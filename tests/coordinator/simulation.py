"""Seeded runs of coordinators: steps drawn by weight, everything looked at after each, and in the end all behave again.

PYKBROKER_SEEDS=10000 runs the seeds below that number, PYKBROKER_SEEDS=500-900 those from 500 on. What fails is named
with its seed and what was done last.
"""

import os
from collections import deque
from random import Random
from typing import ClassVar


def seeds(default: int) -> range:
    """Those to run; `default`: how many, unless somebody asks for more."""
    first, _, end = (os.environ.get("PYKBROKER_SEEDS") or str(default)).rpartition("-")
    return range(int(first or 0), int(end))


class Simulation:
    """One run. Subclasses name their actions, and how likely each is beside the others."""

    STEPS = 80
    ACTIONS: ClassVar[dict[str, int]] = {}

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.done: deque[str] = deque(maxlen=12)
        self._actions = [getattr(self, name) for name in self.ACTIONS]
        self._weights = list(self.ACTIONS.values())

    def run(self) -> None:
        """Raises AssertionError, with the seed, when an invariant is broken."""
        try:
            for number in range(self.STEPS):
                self.step(number)
            self.settle()
            self.check_end()
        except BaseException as error:
            error.add_note(f"{type(self).__module__}: seed {self.seed}; lately {' '.join(self.done)}")
            raise

    def step(self, number: int) -> None:
        action = self.random.choices(self._actions, self._weights)[0]
        self.done.append(f"{number}:{action.__name__}")
        action()
        self.listen()
        self.check()

    def listen(self) -> None:
        """Everyone hears the answers that have come."""

    def check(self) -> None:
        """What holds after every step."""

    def settle(self) -> None:
        """Nothing fails any more and everyone behaves: it must come to rest."""

    def check_end(self) -> None:
        """What holds when it has come to rest."""
