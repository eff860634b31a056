"""States of the brokers' processes."""

import pytest

from pykbroker.console.supervisor import (
    PATIENCE,
    Announce,
    Answer,
    Effect,
    Finish,
    Kill,
    Say,
    Start,
    State,
    Supervisor,
    Terminate,
)

REQUEST = 77


def serving(count: int = 3) -> Supervisor:
    supervisor = Supervisor(count)
    supervisor.start_all()
    for number in range(1, count + 1):
        supervisor.started(number, 1000 + number)
        supervisor.is_ready(number, f"localhost:{9091 + number}")
    return supervisor


def states(supervisor: Supervisor) -> list[State]:
    return [child.state for child in supervisor.children.values()]


def said(effects: list[Effect]) -> list[str]:
    return [effect.text for effect in effects if isinstance(effect, Say)]


def done(effects: list[Effect]) -> list[Effect]:
    """Without what is only said."""
    return [effect for effect in effects if not isinstance(effect, Say)]


def test_all_are_announced_when_the_last_is_ready() -> None:
    supervisor = Supervisor(3)
    assert supervisor.start_all() == [Start(1), Start(2), Start(3)]
    assert supervisor.is_ready(2, "h:2") == []
    assert supervisor.is_ready(3, "h:3") == []
    assert states(supervisor) == [State.STARTING, State.SERVING, State.SERVING]
    assert supervisor.is_ready(1, "h:1") == [Announce(("h:1", "h:2", "h:3"))]


def test_one_that_cannot_start_ends_the_start_of_all() -> None:
    supervisor = Supervisor(3)
    supervisor.start_all()
    supervisor.is_ready(1, "h:1")
    effects = supervisor.exited(2, 2, 0.0)
    assert "broker 2 (pid 0) ended with exit code 2 while it started" in said(effects)[0]
    assert done(effects) == [Terminate(3)]
    assert done(supervisor.exited(3, -15, 0.0)) == [Terminate(1)]
    assert done(supervisor.exited(1, 0, 0.0)) == [Finish(2)]


def test_one_that_is_killed_by_a_stranger_while_all_start() -> None:
    supervisor = Supervisor(1)
    supervisor.start_all()
    assert done(supervisor.exited(1, -9, 0.0)) == [Finish(1)]


def test_a_broker_is_stopped_and_started_again() -> None:
    supervisor = serving()
    assert supervisor.stop(2, REQUEST, 0.0) == [Terminate(2)]
    assert states(supervisor)[1] is State.STOPPING
    assert supervisor.exited(2, 0, 1.0) == [Say("broker 2 stopped"), Answer(REQUEST, "")]
    assert states(supervisor)[1] is State.STOPPED
    assert supervisor.start(2, REQUEST) == [Start(2)]
    assert supervisor.is_ready(2, "h:2") == [Answer(REQUEST, ""), Say("broker 2 serves at h:2")]


def test_a_broker_is_killed() -> None:
    supervisor = serving()
    assert supervisor.kill(1, REQUEST) == [Kill(1)]
    assert supervisor.exited(1, -9, 0.0) == [Say("broker 1 was killed"), Answer(REQUEST, "")]
    assert states(supervisor)[0] is State.DIED
    assert supervisor.start(1, REQUEST) == [Start(1)]


def test_a_broker_that_dies_is_told_and_stays_down() -> None:
    supervisor = serving()
    effects = supervisor.exited(3, -11, 0.0)
    assert effects == [
        Say("broker 3 (pid 1003) ended by signal 11; `pykbroker cluster start 3` starts it again"),
    ]
    assert states(supervisor)[2] is State.DIED
    assert supervisor.children[3].how == "ended by signal 11"


def test_one_that_does_not_start_again_is_an_error_of_the_request() -> None:
    supervisor = serving()
    supervisor.exited(3, -9, 0.0)
    supervisor.start(3, REQUEST)
    assert done(supervisor.exited(3, 2, 0.0)) == [Answer(REQUEST, "broker 3 ended with exit code 2")]
    assert not supervisor.is_stopping


def test_what_cannot_be_done_is_refused() -> None:
    supervisor = serving()
    assert supervisor.start(1, REQUEST) == [Answer(REQUEST, "broker 1 is serving already")]
    assert supervisor.stop(4, REQUEST, 0.0) == [Answer(REQUEST, "there is no broker 4, only 1 to 3")]
    supervisor.stop(1, 1, 0.0)
    assert supervisor.stop(1, REQUEST, 0.0) == [Answer(REQUEST, "broker 1 is stopping, not serving")]
    supervisor.exited(1, 0, 0.0)
    assert supervisor.kill(1, REQUEST) == [Answer(REQUEST, "broker 1 is stopped: it has no process")]
    supervisor.shut_down(0.0)
    assert supervisor.start(1, REQUEST) == [Answer(REQUEST, "the console is stopping: it will not start anything")]


def test_a_kill_overtakes_a_stop() -> None:
    supervisor = serving()
    supervisor.stop(2, 1, 0.0)
    assert supervisor.kill(2, REQUEST) == [Answer(1, "broker 2 was killed meanwhile"), Kill(2)]
    effects = supervisor.exited(2, -9, 0.0)
    assert done(effects) == [Answer(REQUEST, "")]
    assert supervisor.next_deadline() == float("inf")


def test_the_end_stops_one_after_the_other_from_the_last() -> None:
    supervisor = serving()
    assert supervisor.shut_down(0.0) == [Terminate(3)]
    assert done(supervisor.exited(3, 0, 1.0)) == [Terminate(2)]
    assert done(supervisor.exited(2, 0, 2.0)) == [Terminate(1)]
    assert done(supervisor.exited(1, 0, 3.0)) == [Finish(0)]


def test_the_end_waits_for_a_stop_that_is_under_way() -> None:
    supervisor = serving()
    supervisor.stop(1, REQUEST, 0.0)
    assert supervisor.shut_down(0.0) == []
    assert done(supervisor.exited(1, 0, 0.0)) == [Answer(REQUEST, ""), Terminate(3)]


def test_the_end_without_living_brokers_is_at_once() -> None:
    supervisor = serving(1)
    supervisor.exited(1, -9, 0.0)
    assert supervisor.shut_down(0.0) == [Finish(0)]


def test_a_second_call_kills() -> None:
    supervisor = serving()
    supervisor.shut_down(0.0)
    assert supervisor.shut_down(0.0) == [Kill(1), Kill(2), Kill(3)]
    for number in (1, 2):
        assert done(supervisor.exited(number, -9, 0.0)) == []
    assert done(supervisor.exited(3, -9, 0.0)) == [Finish(1)]


def test_one_that_does_not_stop_is_killed() -> None:
    supervisor = serving(2)
    supervisor.shut_down(10.0)
    assert supervisor.next_deadline() == 10.0 + PATIENCE
    assert supervisor.on_deadline(10.0 + PATIENCE - 1) == []
    effects = supervisor.on_deadline(10.0 + PATIENCE)
    assert effects == [Say("broker 2 has not stopped within 60 seconds: killing it"), Kill(2)]
    assert supervisor.next_deadline() == float("inf")
    assert said(supervisor.exited(2, -9, 80.0)) == ["broker 2 (pid 1002) ended by signal 9 while it stopped"]


@pytest.mark.parametrize("state", [State.STOPPING, State.SERVING])
def test_a_late_ready_line_changes_nothing(state: State) -> None:
    supervisor = serving()
    if state is State.STOPPING:
        supervisor.stop(1, REQUEST, 0.0)
    assert supervisor.is_ready(1, "h:9") == []
    assert supervisor.children[1].state is state
