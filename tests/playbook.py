"""Event → effect scripts for state machines: `play << event << event >> effect`.

An event is a callable that is given the play and makes something happen; an effect is one that looks at what came of
it and fails if that is not what it expects. Time passes only by `after(seconds)`. Nothing sleeps, nothing is random.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Self

from pykbroker.clock import ManualClock


class Playbook:
    """What all plays share: a clock, and an inbox for each actor. Subclasses add the machine and their events."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.inbox: dict[str, deque[Any]] = {}

    def __lshift__(self, event: Callable[[Any], object]) -> Self:
        event(self)
        return self

    def __rshift__(self, effect: Callable[[Any], object]) -> Self:
        effect(self)
        return self

    def receive(self, actor: str, answer: object) -> None:
        self.inbox.setdefault(actor, deque()).append(answer)

    def take(self, actor: str) -> Any:
        """The oldest answer that the actor has not looked at."""
        answers = self.inbox.get(actor)
        assert answers, f"{actor} has no answer; there are {self.unread()}"
        return answers.popleft()

    def unread(self) -> dict[str, list[Any]]:
        return {actor: list(answers) for actor, answers in self.inbox.items() if answers}

    def pass_time(self, seconds: float) -> None:
        """Subclasses let their machine's deadlines come, in order."""
        self.clock.advance(seconds)


def after(seconds: float) -> Callable[[Playbook], None]:
    return lambda play: play.pass_time(seconds)


def nothing(play: Playbook) -> None:
    """No answer came that was not looked at."""
    assert not play.unread()


def answered(actor: str, **fields: object) -> Callable[[Playbook], None]:
    """The actor's next answer has these values; unnamed fields do not matter."""

    def effect(play: Playbook) -> None:
        answer = play.take(actor)
        actual = {name: getattr(answer, name) for name in fields}
        assert actual == fields, f"{actor}: {answer}"

    return effect
