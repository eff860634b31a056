"""quorum-state, strictly and against the log."""

import json
from typing import Any

import pytest

from pykbroker.ids import ZERO_UUID
from pykbroker.log.inspection.text_files import FlawedFile
from pykbroker.raft.inspection.quorum_file import find_problem, read_quorum_state
from pykbroker.raft.quorum_state import QuorumState, render

STATIC = QuorumState(leader_id=1, leader_epoch=4, voters=(1,))
DYNAMIC = QuorumState(leader_id=1, leader_epoch=4, voted_id=1, voted_directory_id=ZERO_UUID, version=1)


def fields(state: QuorumState = STATIC) -> dict[str, Any]:
    return read_quorum_state(render(state).encode())


def problem(told: dict[str, Any], *, log_epoch: int = 4, is_clean: bool = True) -> str | None:
    return find_problem(told, log_epoch=log_epoch, node_id=1, is_clean=is_clean)


@pytest.mark.parametrize("state", [STATIC, DYNAMIC])
def test_what_we_write(state: QuorumState) -> None:
    told = fields(state)
    assert (told["leaderEpoch"], told["data_version"]) == (4, state.version)
    assert problem(told) is None


@pytest.mark.parametrize("change", [{"data_version": 2}, {"leaderId": "1"}, {"more": 1}])
def test_fields_that_kafka_does_not_write(change: dict[str, Any]) -> None:
    with pytest.raises(FlawedFile):
        read_quorum_state(json.dumps({**fields(), **change}).encode())


def test_missing_fields_and_no_json() -> None:
    for name in fields():
        with pytest.raises(FlawedFile):
            read_quorum_state(json.dumps({key: value for key, value in fields().items() if key != name}).encode())
    with pytest.raises(FlawedFile):
        read_quorum_state(render(STATIC).encode()[:-1])


def test_against_the_log() -> None:
    assert problem(fields(), log_epoch=5) is not None
    assert problem(fields(), log_epoch=3) is not None
    assert problem(fields(), log_epoch=3, is_clean=False) is None
    assert problem(fields(DYNAMIC), log_epoch=3) is None  # others may have voted
    assert problem(fields(STATIC._replace(leader_id=2))) is not None
    assert problem(fields(STATIC._replace(voted_id=-5))) is not None
