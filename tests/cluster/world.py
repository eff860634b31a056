"""Virtual time and a network in it: everything that happens is an event, and a seed decides when."""

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

Action = Callable[[], object]
Reply = Callable[[Any], None]
START_MS = 1_700_000_000_000


class World:
    """`now` in seconds. What is woken within an event runs right after it, in the order of serial(): sets of waiters
    have none of their own."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.events = 0
        self._heap: list[tuple[float, int, Action]] = []
        self._soon: list[tuple[int, Action]] = []
        self._serial = 0

    def serial(self) -> int:
        self._serial += 1
        return self._serial

    def after(self, delay: float, action: Action) -> None:
        heappush(self._heap, (self.now + delay, self.serial(), action))

    def soon(self, action: Action, serial: int | None = None) -> None:
        self._soon.append((self.serial() if serial is None else serial, action))

    def run(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> bool:
        """True as soon as `is_over`, which is asked once a second; False when the time has passed."""
        end, next_look = self.now + seconds, self.now + 1.0
        while self._heap and self._heap[0][0] <= end:
            self.now, _, action = heappop(self._heap)
            if self.now >= next_look:
                if is_over():
                    return True
                next_look = self.now + 1.0
            self.events += 1
            action()
            while self._soon:
                woken, self._soon = sorted(self._soon, key=lambda one: one[0]), []
                for _, one in woken:
                    one()
        self.now = end
        return is_over()


class NodeClock:
    """Of one process: its monotonic seconds begin anywhere, its wall clock jumps."""

    def __init__(self, world: World, base: float = 1000.0) -> None:
        self._world = world
        self._base = base
        self.skew_ms = 0

    def monotonic(self) -> float:
        return self._base + self._world.now

    def wall_ms(self) -> int:
        return START_MS + self.skew_ms + int(self._world.now * 1000)


class Network:
    """Connections keep the order of what they carry; each breaks by itself. `cut`: (from, to) that carry nothing."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cut: set[tuple[int, int]] = set()
        self.loss = 0.0
        self.slowness = 0.004
        # How many packets arrive seconds later, when their sender may have given up, or be another process.
        self.stalls = 0.0

    def latency(self) -> float:
        random = self.world.random
        if self.stalls and random.random() < self.stalls:
            return 6 * random.random()
        return self.slowness * (random.random() if random.random() < 0.9 else 20 * random.random())

    def heal(self) -> None:
        self.cut.clear()
        self.loss, self.stalls, self.slowness = 0.0, 0.0, 0.004

    def is_lost(self, source: int, target: int) -> bool:
        return (source, target) in self.cut or (self.loss > 0 and self.world.random.random() < self.loss)


class Connection:
    """From one node to another; `target` finds who serves there now, None: the machine is up and nobody listens."""

    def __init__(self, network: Network, source: int, target: int) -> None:
        self._network = network
        self._source = source
        self._target = target
        self._there = self._back = 0.0

    def request(
        self,
        serve: Callable[[Reply], bool],
        on_answer: Callable[[Any], None],
        on_failure: Action,
        timeout: float = 1.0,
    ) -> None:
        """`serve` is called where the request arrives, with what answers it; False: nobody is there. Then exactly one
        of the others is called. Lost on the way are the request or the answer, and the connection with it."""
        network, world = self._network, self._network.world
        is_over = False

        def fail() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._there = self._back = 0.0  # the next one is another connection, and overtakes this one
                on_failure()

        def reply(answer: Any) -> None:
            if network.is_lost(self._target, self._source):
                return
            self._back = max(self._back, world.now + network.latency())
            world.after(self._back - world.now, lambda: take(answer))

        def take(answer: Any) -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                on_answer(answer)

        def arrive() -> None:
            if not serve(reply) and not network.is_lost(self._target, self._source):
                world.after(network.latency(), fail)

        world.after(timeout, fail)
        if network.is_lost(self._source, self._target):
            if world.random.random() < 0.5 and (self._source, self._target) not in network.cut:
                world.after(network.latency(), fail)  # a reset; else silence
            return
        self._there = max(self._there, world.now + network.latency())
        world.after(self._there - world.now, arrive)
