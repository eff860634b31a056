"""quorum-state, read strictly. (FileQuorumStateStore)"""

from typing import Any

from pykbroker.errors import KafkaError
from pykbroker.log.inspection.text_files import FlawedFile, read_json
from pykbroker.protocol.json_form import from_json
from pykbroker.raft import quorum_state

VERSIONS = (0, 1)


def read_quorum_state(data: bytes) -> dict[str, Any]:
    """The fields of the file. Raises FlawedFile for anything that Kafka does not write."""
    fields = read_json(data)
    version = fields.get("data_version")
    if version not in VERSIONS or isinstance(version, bool):
        raise FlawedFile(0, f"data_version {version!r}; {VERSIONS[0]} and {VERSIONS[1]} are known")
    body = {name: value for name, value in fields.items() if name != "data_version"}
    try:
        from_json("QuorumStateData", version, body)
    except (ValueError, KafkaError) as error:
        raise FlawedFile(0, str(error)) from None
    return fields


def find_problem(fields: dict[str, Any], *, log_epoch: int, node_id: int, is_clean: bool) -> str | None:
    """What contradicts the log, whose last batch bears `log_epoch`."""
    for name in ("leaderId", "leaderEpoch", "votedId"):
        if fields[name] < -1:
            return f"{name} {fields[name]}"
    epoch = fields["leaderEpoch"]
    if epoch < log_epoch:
        return f"leader epoch {epoch}, but the log has a batch of epoch {log_epoch}"
    voters = [voter["voterId"] for voter in fields.get("currentVoters") or ()]
    if fields["leaderId"] >= 0 and voters and fields["leaderId"] not in voters:
        return f"leader {fields['leaderId']} is none of the voters {voters}"
    # A leader begins its epoch with a record in the log.
    is_alone = voters == [node_id] and fields["leaderId"] == node_id
    if is_alone and is_clean and epoch != log_epoch:
        return f"leader epoch {epoch}, but the last batch of this only voter bears epoch {log_epoch}"
    return None


def path_of(directory: str) -> str:
    return f"{directory}/{quorum_state.FILE_NAME}"
