"""The quorum-state file: what a voter must not forget about the election (FileQuorumStateStore, KIP-595, KIP-853)."""

import json
import os
from typing import Any, NamedTuple

from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.log.files import Files

FILE_NAME = "quorum-state"


class QuorumState(NamedTuple):
    """`leader_id` and `voted_id` are -1 for nobody; `voters` are in version 0 only (static quorum, kraft.version 0)."""

    leader_id: int
    leader_epoch: int
    voted_id: int = -1
    voted_directory_id: Uuid = ZERO_UUID
    voters: tuple[int, ...] = ()
    version: int = 0


class QuorumStateError(Exception):
    """The file is there but not Kafka's."""


def read(directory: str) -> QuorumState | None:
    """The state in `directory`, None when there is no file yet. Raises QuorumStateError, OSError."""
    path = os.path.join(directory, FILE_NAME)
    try:
        with open(path, "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    try:
        return _parse(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise QuorumStateError(f"{path} is not a quorum state: {error!r}") from error


def write(directory: str, state: QuorumState, files: Files | None = None) -> None:
    """Atomically and durably, in Kafka's very bytes. Raises OSError."""
    (files or Files()).write_atomically(os.path.join(directory, FILE_NAME), render(state).encode())


def render(state: QuorumState) -> str:
    """The file's text."""
    fields: dict[str, Any]
    if state.version == 0:
        fields = {
            "clusterId": "",
            "leaderId": state.leader_id,
            "leaderEpoch": state.leader_epoch,
            "votedId": state.voted_id,
            "appliedOffset": 0,
            "currentVoters": [{"voterId": voter} for voter in state.voters],
            "data_version": 0,
        }
    else:
        fields = {
            "leaderId": state.leader_id,
            "leaderEpoch": state.leader_epoch,
            "votedId": state.voted_id,
            "votedDirectoryId": str(state.voted_directory_id),
            "data_version": 1,
        }
    return json.dumps(fields, separators=(",", ":"))


def _parse(fields: dict[str, Any]) -> QuorumState:
    version = fields["data_version"]
    if version not in (0, 1):
        raise ValueError(f"unknown data_version {version}")
    voted_directory = fields.get("votedDirectoryId")
    return QuorumState(
        leader_id=int(fields["leaderId"]),
        leader_epoch=int(fields["leaderEpoch"]),
        voted_id=int(fields["votedId"]),
        voted_directory_id=Uuid.parse(voted_directory) if voted_directory else ZERO_UUID,
        voters=tuple(int(voter["voterId"]) for voter in fields.get("currentVoters") or ()),
        version=version,
    )
