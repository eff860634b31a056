"""The brokers' processes as a state machine: what happened goes in, what is to be done comes out. Pure.

A broker that dies is told, and started again only when somebody says so. Stopping the console stops the brokers one
after the other from the last, each with its controlled shutdown while the others still lead.
"""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

# Seconds that a broker has to stop in order; then it is killed.
PATIENCE = 60.0
STOPPED_WELL, BROKEN = 0, 1


class State(Enum):
    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DIED = "died"

    @property
    def as_text(self) -> str:
        return "has died" if self is State.DIED else f"is {self.value}"


LIVING = (State.STARTING, State.SERVING, State.STOPPING)


# Effects


class Start(NamedTuple):
    number: int


class Terminate(NamedTuple):
    """SIGTERM: the broker stops in order."""

    number: int


class Kill(NamedTuple):
    """SIGKILL."""

    number: int


class Say(NamedTuple):
    """A line of the console."""

    text: str


class Announce(NamedTuple):
    """All brokers serve for the first time, at these addresses in order of their numbers."""

    addresses: tuple[str, ...]


class Answer(NamedTuple):
    """What a request led to; `error` is empty when it was done."""

    request: int
    error: str


class Finish(NamedTuple):
    """No broker lives any more, and none shall: the console may end with this code."""

    code: int


Effect = Start | Terminate | Kill | Say | Announce | Answer | Finish


class Child:
    """One broker. `pid` and `address` (host:port) are those of its last process; `how` tells how that ended."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.state = State.STOPPED
        self.pid = 0
        self.address = ""
        self.how = ""
        self.deadline = float("inf")
        self.request: int | None = None
        self.is_being_killed = False


class Supervisor:
    """`request` is a number of the caller's that comes back in an Answer. Times are monotonic seconds.

    `command`: what people type to speak to this console.
    """

    def __init__(self, count: int, command: str = "pykbroker cluster") -> None:
        self.children = {number: Child(number) for number in range(1, count + 1)}
        self.is_stopping = False
        self._command = command
        self._is_announced = False
        self._code = STOPPED_WELL

    def start_all(self) -> list[Effect]:
        for child in self.children.values():
            child.state = State.STARTING
        return [Start(number) for number in self.children]

    # Requests

    def start(self, number: int, request: int) -> list[Effect]:
        refusal = self._refusal(number, "start")
        if refusal:
            return [Answer(request, refusal)]
        child = self.children[number]
        if child.state in LIVING:
            return [Answer(request, f"broker {number} {child.state.as_text} already")]
        child.state = State.STARTING
        child.request = request
        return [Start(number)]

    def stop(self, number: int, request: int, now: float) -> list[Effect]:
        refusal = self._refusal(number, "stop")
        if refusal:
            return [Answer(request, refusal)]
        child = self.children[number]
        if child.state is not State.SERVING:
            return [Answer(request, f"broker {number} {child.state.as_text}, not serving")]
        child.request = request
        return self._stop(child, now)

    def kill(self, number: int, request: int) -> list[Effect]:
        refusal = self._refusal(number, "kill")
        if refusal:
            return [Answer(request, refusal)]
        child = self.children[number]
        if child.state not in LIVING:
            return [Answer(request, f"broker {number} {child.state.as_text}: it has no process")]
        effects: list[Effect] = []
        if child.request is not None:
            effects.append(Answer(child.request, f"broker {number} was killed meanwhile"))
        child.request = request
        child.is_being_killed = True
        return [*effects, Kill(number)]

    def _refusal(self, number: int, verb: str) -> str:
        if self.is_stopping:
            return f"the console is stopping: it will not {verb} anything"
        if number not in self.children:
            return f"there is no broker {number}, only 1 to {len(self.children)}"
        return ""

    # What processes do

    def started(self, number: int, pid: int) -> None:
        self.children[number].pid = pid

    def is_ready(self, number: int, address: str) -> list[Effect]:
        child = self.children[number]
        child.address = address
        if child.state is not State.STARTING:
            return []
        child.state = State.SERVING
        child.how = ""
        effects = self._answer(child, "")
        if self._is_announced:
            effects.append(Say(f"broker {number} serves at {address}"))
        elif all(each.state is State.SERVING for each in self.children.values()):
            self._is_announced = True
            effects.append(Announce(tuple(each.address for each in self.children.values())))
        return effects

    def exited(self, number: int, code: int, now: float) -> list[Effect]:
        """`code` is negative for a signal, as in subprocess."""
        child = self.children[number]
        before, was_killed = child.state, child.is_being_killed
        is_well = code == 0 and before is State.STOPPING
        child.how = _how(code)
        child.state = State.STOPPED if is_well else State.DIED
        child.deadline = float("inf")
        child.is_being_killed = False
        if is_well or was_killed:
            effects = [Say(f"broker {number} {'stopped' if is_well else 'was killed'}"), *self._answer(child, "")]
        else:
            effects = [Say(self._obituary(child, before)), *self._answer(child, f"broker {number} {child.how}")]
        if self.is_stopping:
            return [*effects, *self._go_on_stopping(now)]
        if not self._is_announced and not was_killed:
            # What one broker cannot, e.g. take its port, concerns whoever started all of them.
            self._code = code if code > 0 else BROKEN
            return [*effects, *self.shut_down(now)]
        return effects

    def _answer(self, child: Child, error: str) -> list[Effect]:
        request, child.request = child.request, None
        return [] if request is None else [Answer(request, error)]

    def _obituary(self, child: Child, before: State) -> str:
        during = {State.STARTING: " while it started", State.STOPPING: " while it stopped"}.get(before, "")
        text = f"broker {child.number} (pid {child.pid}) {child.how}{during}"
        is_final = self.is_stopping or not self._is_announced
        return text if is_final else f"{text}; `{self._command} start {child.number}` starts it again"

    # The end

    def shut_down(self, now: float) -> list[Effect]:
        """In order; a second call kills what still lives."""
        if self.is_stopping:
            self._code = self._code or BROKEN
            return [Kill(child.number) for child in self.children.values() if child.state in LIVING]
        self.is_stopping = True
        starting = [child for child in self.children.values() if child.state is State.STARTING]
        effects: list[Effect] = []
        for child in starting:
            # It holds nothing yet that could be lost.
            effects += [*self._answer(child, "the console is stopping"), *self._stop(child, now)]
        return [*effects, *self._go_on_stopping(now)]

    def _go_on_stopping(self, now: float) -> list[Effect]:
        """One broker at a time."""
        living = [child for child in self.children.values() if child.state in LIVING]
        if not living:
            return [Finish(self._code)]
        if any(child.state is State.STOPPING for child in living):
            return []
        return self._stop(living[-1], now)

    def _stop(self, child: Child, now: float) -> list[Effect]:
        child.state = State.STOPPING
        child.deadline = now + PATIENCE
        return [Terminate(child.number)]

    def next_deadline(self) -> float:
        return min(child.deadline for child in self.children.values())

    def on_deadline(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for child in self._late(now):
            child.deadline = float("inf")
            effects += [
                Say(f"broker {child.number} has not stopped within {PATIENCE:.0f} seconds: killing it"),
                Kill(child.number),
            ]
        return effects

    def _late(self, now: float) -> Iterable[Child]:
        return [child for child in self.children.values() if child.deadline <= now]


def _how(code: int) -> str:
    if code < 0:
        return f"ended by signal {-code}"
    return f"ended with exit code {code}" if code else "ended by itself"
