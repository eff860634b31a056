"""The clients of the histories themselves: who cannot begin begins anew, and nothing that breaks is overlooked."""

import threading

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from compat_tests.history import clients
from compat_tests.history.clients import Client, Writer, bounded
from compat_tests.history.events import History


class Refused(Writer):
    """Its first two producers have no coordinator; with the third all is over."""

    def new_producer(self) -> Producer:
        if self.incarnations < 3:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        self.ends.set()
        return Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})


class Unflushed(Client):
    def turn(self) -> bool:
        return True

    def close(self) -> None:
        raise AssertionError("not all is acknowledged")


def make(kind: type[Client]) -> Client:
    return kind(History(), "127.0.0.1:1", "topic", 1, "one", "0")


def test_who_cannot_begin_begins_anew() -> None:
    client = make(Refused)
    client.start()
    client.stop()
    assert client.incarnations == 3


def test_what_breaks_on_closing_is_told() -> None:
    client = make(Unflushed)
    client.start()
    with pytest.raises(AssertionError, match="not all is acknowledged"):
        client.stop()


def test_offsets_that_are_never_sent_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """librdkafka#5511."""
    monkeypatch.setattr(clients, "SECONDS", 0)
    monkeypatch.setattr(clients, "MARGIN", 0.05)
    ends = threading.Event()
    with pytest.raises(KafkaException) as raised:
        bounded(ends.wait)
    ends.set()
    assert raised.value.args[0].code() == KafkaError._TIMED_OUT


def test_what_sending_offsets_raises_is_raised() -> None:
    def fenced() -> None:
        raise KafkaException(KafkaError(KafkaError._FENCED))

    with pytest.raises(KafkaException) as raised:
        bounded(fenced)
    assert raised.value.args[0].code() == KafkaError._FENCED
