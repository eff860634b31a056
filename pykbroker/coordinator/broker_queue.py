"""What waits to be asked of other brokers: one request at a time to each, with all that came meanwhile. Sans-I/O;
`other_brokers_loop.py` sends. (InterBrokerSendThread, RequestAndCompletionHandler)
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pykbroker.errors import KafkaError

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

E = TypeVar("E")


class BrokerRequest(NamedTuple):
    """`lowest`: the first version that says it all. Exactly one of the two is called: with the response, or with what
    there is instead: NETWORK_EXCEPTION when the broker is not reached or does not answer, UNSUPPORTED_VERSION."""

    broker_id: int
    api_key: int
    lowest: int
    message: "Message"
    on_response: "Callable[[Message], None]"
    on_failure: Callable[[KafkaError], None]


class BrokerQueue(ABC, Generic[E]):
    """`on_work` is called when there may be a request to send."""

    def __init__(self) -> None:
        self.on_work: Callable[[], object] = _nothing
        self._waiting: dict[int, list[E]] = {}
        self._busy: set[int] = set()

    def put(self, broker_id: int, entry: E) -> None:
        self._waiting.setdefault(broker_id, []).append(entry)
        self.on_work()

    def next_requests(self) -> list[BrokerRequest]:
        """To brokers that nothing is under way to."""
        requests = []
        for broker_id in [each for each in self._waiting if each not in self._busy]:
            chosen, left = self.choose(self._waiting.pop(broker_id))
            if left:
                self._waiting[broker_id] = left
            if chosen:
                requests.append(self._request(broker_id, chosen))
        return requests

    def next_time(self) -> float:
        """When there is something to ask again, in seconds of the sender's time."""
        return inf

    def _request(self, broker_id: int, entries: list[E]) -> BrokerRequest:
        api_key, lowest, message = self.request(entries)
        self._busy.add(broker_id)

        def on_response(response: "Message") -> None:
            self._busy.discard(broker_id)
            self.answer(entries, response)
            self.on_work()

        def on_failure(error: KafkaError) -> None:
            self._busy.discard(broker_id)
            self.fail(entries, error)
            self.on_work()

        return BrokerRequest(broker_id, api_key, lowest, message, on_response, on_failure)

    # What each kind of question decides

    @abstractmethod
    def choose(self, entries: list[E]) -> tuple[list[E], list[E]]:
        """What goes into the next request, and what must wait; who is not interested any more is in neither."""

    @abstractmethod
    def request(self, entries: list[E]) -> "tuple[int, int, Message]":
        """API key, lowest version, message."""

    @abstractmethod
    def answer(self, entries: list[E], response: "Message") -> None: ...

    @abstractmethod
    def fail(self, entries: list[E], error: KafkaError) -> None: ...


def _nothing() -> None:
    return
