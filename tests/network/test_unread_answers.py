"""UnreadAnswers: counted, given back, and bounded by closing who reads nothing for longest."""

import logging

import pytest

from pykbroker.network.unread_answers import UnreadAnswers


class Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.closed: list[str] = []

    def close(self, why: str) -> None:
        self.closed.append(why)


def test_what_is_read_counts_no_more() -> None:
    unread, reader = UnreadAnswers(100), Reader("a")
    for _ in range(3):
        unread.add(reader, 90)
        assert unread.size == 90
        unread.remove(reader)
        assert unread.size == 0
    unread.remove(reader)
    assert (unread.size, reader.closed) == (0, [])


def test_who_reads_nothing_for_longest_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    unread, readers = UnreadAnswers(100), [Reader(name) for name in "abcd"]
    for reader in readers:
        unread.add(reader, 40)
    assert unread.size == 80
    assert [len(reader.closed) for reader in readers] == [1, 1, 0, 0]
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["Closed a", "Closed b"]
    unread.remove(readers[0])  # what its task does when it ends
    assert unread.size == 80


def test_one_answer_may_be_larger_than_the_limit() -> None:
    unread, small, large = UnreadAnswers(100), Reader("small"), Reader("large")
    unread.add(small, 10)
    unread.add(large, 1000)
    assert (small.closed, large.closed) == (["it does not read its answer"], [])
    assert unread.size == 1000
