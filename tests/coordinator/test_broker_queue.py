"""One request at a time to each broker, with all that came meanwhile."""

from typing import cast

from pykbroker.coordinator.broker_queue import BrokerQueue, BrokerRequest
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message


class Words(BrokerQueue[str]):
    """At most two words at once; "-" has lost interest."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: list[tuple[str, object]] = []
        self.work = 0
        self.on_work = self._count

    def _count(self) -> None:
        self.work += 1

    def choose(self, entries: list[str]) -> tuple[list[str], list[str]]:
        wanted = [entry for entry in entries if entry != "-"]
        return wanted[:2], wanted[2:]

    def request(self, entries: list[str]) -> tuple[int, int, Message]:
        return 1, 0, cast(Message, " ".join(entries))

    def answer(self, entries: list[str], response: Message) -> None:
        self.answered += [(entry, response) for entry in entries]

    def fail(self, entries: list[str], error: KafkaError) -> None:
        self.answered += [(entry, error.code) for entry in entries]

    def sent(self) -> dict[int, object]:
        self.requests = {request.broker_id: request for request in self.next_requests()}
        return {broker_id: request.message for broker_id, request in self.requests.items()}

    requests: dict[int, BrokerRequest]


def test_what_comes_meanwhile_waits_for_the_answer() -> None:
    words = Words()
    words.put(1, "a")
    assert words.sent() == {1: "a"}
    first = words.requests[1]
    words.put(1, "b")
    words.put(1, "c")
    assert words.sent() == {}
    first.on_response(cast(Message, "yes"))
    assert words.answered == [("a", "yes")]
    assert words.sent() == {1: "b c"}


def test_brokers_do_not_wait_for_each_other() -> None:
    words = Words()
    words.put(1, "a")
    words.put(2, "b")
    assert words.sent() == {1: "a", 2: "b"}
    words.put(2, "c")
    words.requests[1].on_failure(KafkaError(ErrorCode.NETWORK_EXCEPTION))
    assert words.answered == [("a", ErrorCode.NETWORK_EXCEPTION)]
    words.put(1, "d")
    assert words.sent() == {1: "d"}


def test_what_is_left_over_goes_next() -> None:
    words = Words()
    for word in "abc":
        words.put(1, word)
    assert words.sent() == {1: "a b"}
    words.requests[1].on_response(cast(Message, "yes"))
    assert words.sent() == {1: "c"}


def test_nothing_is_sent_for_who_has_lost_interest() -> None:
    words = Words()
    words.put(1, "-")
    assert words.sent() == {}
    words.put(1, "a")
    assert words.sent() == {1: "a"}


def test_work_is_told_of() -> None:
    words = Words()
    words.put(1, "a")
    assert words.work == 1
    words.sent()
    words.requests[1].on_response(cast(Message, "yes"))
    assert words.work == 2
