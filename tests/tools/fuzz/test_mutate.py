"""Mutations: repeatable, various, and within bounds."""

import pytest

from pykbroker.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from tools.fuzz.fields import FieldMutator, places
from tools.fuzz.findings import Stall, stopwatch
from tools.fuzz.mutate import Mutator

CORPUS = [b"first sample", bytes(100), b""]


def test_the_same_seed_gives_the_same_inputs() -> None:
    first, second, other = (Mutator(seed, CORPUS) for seed in (1, 1, 2))
    inputs = [[one.mutate(CORPUS[0]) for _ in range(100)] for one in (first, second, other)]
    assert inputs[0] == inputs[1] != inputs[2]
    assert len(set(inputs[0])) > 80


def test_the_start_can_be_kept() -> None:
    mutator = Mutator(1, CORPUS)
    assert all(mutator.mutate(b"head and body", keep=4).startswith(b"head") for _ in range(500))


def test_empty_inputs_are_mutated_too() -> None:
    mutator = Mutator(1, CORPUS)
    assert any(mutator.mutate(b"") for _ in range(100))


def test_every_field_of_a_message_is_a_place() -> None:
    request = CreateTopicsRequest(topics=[CreatableTopic(name="a"), CreatableTopic(name="b")])
    fields = [field for _, field in places(request)]
    assert fields.count("name") == 2
    assert fields.count("topics") == fields.count("timeout_ms") == 1


def test_the_original_message_stays() -> None:
    request = CreateTopicsRequest(topics=[CreatableTopic(name="a")])
    before = repr(request)
    mutator = FieldMutator(Mutator(1, CORPUS).random)
    changed = {repr(mutator.mutate(request)) for _ in range(200)}
    assert repr(request) == before
    assert len(changed) > 50


def test_a_stall_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with stopwatch("nothing"):
        pass
    monkeypatch.setattr("tools.fuzz.findings.STALL", -1.0)
    with pytest.raises(Stall, match="something took"), stopwatch("something"):
        pass
