"""Control batches of the metadata log and its snapshots: leader change, header and footer, kraft version, voters."""

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.errors import MalformedFrame
from pykbroker.record.builder import SimpleRecord, build_batch

if TYPE_CHECKING:
    from pykbroker.protocol.embedded.voters import VotersRecord
    from pykbroker.protocol.message import Message

# ControlRecordType.
LEADER_CHANGE = 2
SNAPSHOT_HEADER = 3
SNAPSHOT_FOOTER = 4
KRAFT_VERSION = 5
KRAFT_VOTERS = 6

_KEY = struct.Struct(">hh")


class Quorum(NamedTuple):
    """What the log says about its own quorum. `voters` None: a static quorum (kraft.version 0)."""

    kraft_version: int = 0
    voters: "VotersRecord | None" = None


def control_batch(
    records: "Sequence[tuple[int, Message]]", *, base_offset: int, epoch: int, timestamp: int
) -> bytearray:
    """One control batch of (ControlRecordType, message); messages in version 0 or as their `version` says."""
    entries = [
        SimpleRecord(_KEY.pack(0, kind), bytes(message.encode(_version(message))), (), timestamp)
        for kind, message in records
    ]
    return build_batch(entries, base_offset=base_offset, is_control=True, leader_epoch=epoch)


def leader_change(leader: int, voters: Sequence[int]) -> "Message":
    """The first record of each epoch; all voters granted it, for the quorum has but one. Kafka reads version 0 only,
    which knows no directories, in dynamic quorums too (LEADER_CHANGE_CURRENT_VERSION)."""
    from pykbroker.protocol.embedded.leader_change import LeaderChangeMessage, Voter

    def members() -> list[Voter]:
        return [Voter(voter_id=voter) for voter in voters]

    return LeaderChangeMessage(leader_id=leader, voters=members(), granting_voters=members())


def voters_change(kraft_version: int, voters: "VotersRecord") -> "list[tuple[int, Message]]":
    """What the leader of a dynamic quorum writes about its voters."""
    from pykbroker.protocol.embedded.kraft_version import KRaftVersionRecord

    return [(KRAFT_VERSION, KRaftVersionRecord(kraft_version=kraft_version)), (KRAFT_VOTERS, voters)]


def control_type(key: bytes | None) -> int:
    """The ControlRecordType of a control record. Raises MalformedFrame."""
    if key is None or len(key) < _KEY.size:
        raise MalformedFrame("control record without a type")
    kind: int = _KEY.unpack_from(key)[1]
    return kind


def quorum_after(quorum: Quorum, kind: int, value: bytes) -> Quorum:
    """What a control record changes about the quorum."""
    if kind == KRAFT_VERSION:
        from pykbroker.protocol.embedded.kraft_version import KRaftVersionRecord

        return quorum._replace(kraft_version=KRaftVersionRecord.decode(value, 0)[0].kraft_version)
    if kind == KRAFT_VOTERS:
        from pykbroker.protocol.embedded.voters import VotersRecord

        return quorum._replace(voters=VotersRecord.decode(value, 0)[0])
    return quorum


def _version(message: "Message") -> int:
    version: int = getattr(message, "version", 0)
    return version
