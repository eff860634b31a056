from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.fetch_session_handler import FetchPlan, FetchSessionHandler, Key
from pykbroker.replica.follower import Wanted

A, B, C = ((Uuid(bytes([n]) * 16), 0) for n in (1, 2, 3))


def at(offset: int) -> Wanted:
    return Wanted(1, offset, 1, 0, 100)


class Client:
    def __init__(self, **wanted: int) -> None:
        self.handler = FetchSessionHandler()
        self.wanted: dict[Key, Wanted] = {}

    def plan(self, changed: dict[Key, Wanted | None]) -> FetchPlan:
        for key, one in changed.items():
            if one is None:
                self.wanted.pop(key, None)
            else:
                self.wanted[key] = one
        return self.handler.plan(self.wanted, set(changed), self.wanted.get)

    def open(self, *keys: Key) -> None:
        self.plan(dict.fromkeys(keys, at(0)))
        assert self.handler.took(set(keys), 7, 0)


def test_the_first_request_names_all_and_asks_for_a_session() -> None:
    client = Client()
    plan = client.plan({A: at(0), B: at(5)})
    assert plan == FetchPlan(0, 0, {A: at(0), B: at(5)}, [], False)
    assert client.handler.took({A, B}, 7, 0)
    assert client.plan({}) == FetchPlan(7, 1, {}, [], False)


def test_then_what_is_new_and_what_differs_in_this_order() -> None:
    client = Client()
    client.open(A, B)
    plan = client.plan({B: at(1), C: at(0), A: at(0)})
    assert list(plan.to_send.items()) == [(C, at(0)), (B, at(1))], "A wants what it wanted"
    assert client.handler.took({B}, 7, 0)
    assert client.plan({}).session_epoch == 2


def test_what_is_not_wanted_any_more_is_forgotten_once() -> None:
    client = Client()
    client.open(A, B)
    assert client.plan({A: None}).to_forget == [A]
    assert client.handler.took(set(), 7, 0)
    assert client.plan({A: None}).to_forget == []


def test_with_nothing_left_there_is_nothing_to_ask() -> None:
    client = Client()
    assert client.plan({}).is_empty
    client.open(A)
    plan = client.plan({A: None})
    assert (plan.is_empty, plan.to_forget) == (False, [A])
    assert client.handler.took(set(), 0, 0), "the leader has closed the session"
    assert client.plan({}).is_empty


def test_a_leader_without_room_for_sessions() -> None:
    client = Client()
    client.plan({A: at(0)})
    assert client.handler.took({A}, 0, 0)
    assert client.plan({A: at(1)}) == FetchPlan(0, 0, {A: at(1)}, [], False)


def test_errors_start_over() -> None:
    for code, session_id in [(ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0), (ErrorCode.INVALID_FETCH_SESSION_EPOCH, 7)]:
        client = Client()
        client.open(A)
        assert not client.handler.took(set(), 0, code)
        assert client.plan({}) == FetchPlan(session_id, 0, {A: at(0)}, [], False)


def test_an_answer_with_too_much_or_too_little_is_not_used() -> None:
    client = Client()
    client.plan({A: at(0), B: at(0)})
    assert not client.handler.took({A}, 7, 0), "a full answer names all"
    assert client.plan({}).session_id == 0
    assert client.handler.took({A, B}, 7, 0)
    assert not client.handler.took({C}, 7, 0)
    assert (client.plan({}).session_id, client.handler.is_full) == (7, True)


def test_epochs_start_over_at_one() -> None:
    client = Client()
    client.open(A)
    client.handler.epoch = 0x7FFFFFFF
    assert client.handler.took(set(), 7, 0)
    assert client.plan({}).session_epoch == 1
