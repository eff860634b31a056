"""Virtual time and a network in it: everything that happens is an event, and a seed decides when."""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from operator import itemgetter
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
                woken, self._soon = self._soon, []
                if len(woken) > 1:
                    woken.sort(key=itemgetter(0))
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
    """Connections keep the order of what they carry; each breaks by itself. `cut`: (from, to) that carry nothing;
    `held`: (from, to) whose requests arrive at that moment at the earliest; `stopped`: nodes that do nothing until then
    (SIGSTOP), and find afterwards what came meanwhile."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cut: set[tuple[int, int]] = set()
        self.held: dict[tuple[int, int], float] = {}
        self.stopped: dict[int, float] = {}
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
        self.held.clear()
        self.stopped.clear()
        self.loss, self.stalls, self.slowness = 0.0, 0.0, 0.004

    def is_lost(self, source: int, target: int) -> bool:
        return (source, target) in self.cut or (self.loss > 0 and self.world.random.random() < self.loss)


class Connection:
    """From one node to another. `held_until`: nothing arrives before, neither requests nor answers."""

    def __init__(self, network: Network, source: int, target: int) -> None:
        self.network = network
        self.source = source
        self.target = target
        # When the last request arrives there, and the last answer here.
        self.there = self.back = 0.0
        self.held_until = 0.0

    def request(
        self,
        serve: Callable[[Reply], bool],
        on_answer: Callable[[Any], None],
        on_failure: Action,
        timeout: float = 1.0,
    ) -> None:
        """`serve` is called where the request arrives, with what answers it; False: nobody is there. Then exactly one
        of the others is called. Lost on the way are the request or the answer, and the connection with it."""
        network, world = self.network, self.network.world
        exchange = Exchange(self, serve, on_answer, on_failure)
        world.after(timeout, exchange.fail)
        link = (self.source, self.target)
        if network.is_lost(*link):
            if world.random.random() < 0.5 and link not in network.cut:
                world.after(network.latency(), exchange.fail)  # a reset; else silence
            return
        self.there = max(self.there, world.now + network.latency(), self.held_until, network.held.get(link, 0.0))
        world.after(self.there - world.now, exchange.arrive)


class Exchange:
    """One request of a connection, and what becomes of it."""

    __slots__ = ("connection", "is_over", "on_answer", "on_failure", "serve")

    def __init__(
        self,
        connection: Connection,
        serve: Callable[[Reply], bool],
        on_answer: Callable[[Any], None],
        on_failure: Action,
    ) -> None:
        self.connection = connection
        self.serve = serve
        self.on_answer = on_answer
        self.on_failure = on_failure
        self.is_over = False

    def arrive(self) -> None:
        connection = self.connection
        network, world = connection.network, connection.network.world
        stopped_until = network.stopped.get(connection.target, 0.0)
        if stopped_until > world.now:
            world.after(stopped_until - world.now, self.arrive)
        elif not self.serve(self.reply) and not network.is_lost(connection.target, connection.source):
            world.after(network.latency(), self.fail)

    def reply(self, answer: Any) -> None:
        connection = self.connection
        network, world = connection.network, connection.network.world
        if network.is_lost(connection.target, connection.source):
            return
        connection.back = max(connection.back, world.now + network.latency(), connection.held_until)
        world.after(connection.back - world.now, partial(self.take, answer))

    def take(self, answer: Any) -> None:
        if not self.is_over:
            self.is_over = True
            self.on_answer(answer)

    def fail(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.connection.there = self.connection.back = 0.0  # the next one is another, and overtakes this one
            self.on_failure()
