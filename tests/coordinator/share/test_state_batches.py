"""The combiner against answers of Kafka's PersisterStateBatchCombiner (combined_batches.txt), and its few own rules."""

from pathlib import Path
from time import process_time

import pytest

from pykbroker.coordinator.share.state_batches import Batches, PersisterStateBatch, combine

# One case a line: start offset|batches so far|new batches|Kafka's answer; a batch is first,last,state,count.
CASES = (Path(__file__).parent / "combined_batches.txt").read_text().splitlines()


def parse(text: str) -> Batches:
    rows = (map(int, batch.split(",")) for batch in text.split())
    return tuple(PersisterStateBatch(first, last, count, state) for first, last, state, count in rows)


@pytest.mark.parametrize("part", range(10))
def test_as_kafka_combines(part: int) -> None:
    assert len(CASES) == 300
    for case in CASES[part::10]:
        start_offset, so_far, new, expected = case.split("|")
        assert combine(parse(so_far), parse(new), int(start_offset)) == parse(expected), case


def test_it_does_not_look_back() -> None:
    """Kafka leaves neighbours apart that became alike afterwards, until it combines again."""
    first = combine((), parse("0,9,0,2 10,15,0,1 10,20,0,2"), -1)
    assert first == parse("0,9,0,2 10,20,0,2")
    assert combine(first, (), -1) == parse("0,20,0,2")


def test_batches_that_end_before_they_begin_say_nothing() -> None:
    """On the second of these Kafka's combiner runs for ever."""
    assert combine((), parse("5,4,2,2"), -1) == ()
    assert combine(parse("5,10,0,1"), parse("7,2,2,2 8,9,2,1"), -1) == parse("5,7,0,1 8,9,2,1 10,10,0,1")


def test_many_batches_take_little_time() -> None:
    so_far = tuple(PersisterStateBatch(at, at, 1 + at % 2, 2) for at in range(20_000))
    began = process_time()
    assert len(combine(so_far, (PersisterStateBatch(20_000, 20_005, 1, 0),), 10_000)) == 10_001
    assert process_time() - began < 1
