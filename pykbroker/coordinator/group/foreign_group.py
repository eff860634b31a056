"""A group of a kind that has no state machine here yet (streams), kept as its records say.

Enough to list it, to keep its offsets alive or expire them, to delete it, and to let a classic group follow an empty
one; nobody can join it. The records of its members and assignments are remembered by key only, for their tombstones.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pykbroker.coordinator.shard import CoordinatorRecord
    from pykbroker.protocol.message import Message

EMPTY: Final = "Empty"
ASSIGNING: Final = "Assigning"

STREAMS_TYPE: Final = "streams"

# prefix of the record's key class → group type, e.g. StreamsGroupMemberMetadataKey
_PREFIXES: Final = (("StreamsGroup", STREAMS_TYPE),)


def foreign_type(key: "Message") -> str | None:
    """The type of the group that a record belongs to; None for records of classic groups and offsets."""
    name = type(key).__name__
    return next((group_type for prefix, group_type in _PREFIXES if name.startswith(prefix)), None)


class ForeignGroup:
    __slots__ = ("_keys", "_members", "group_id", "group_type")

    def __init__(self, group_id: str, group_type: str) -> None:
        self.group_id = group_id
        self.group_type = group_type
        self._keys: dict[bytes, Message] = {}
        self._members: set[str] = set()

    @property
    def is_empty(self) -> bool:
        return not self._members

    @property
    def is_gone(self) -> bool:
        """Every record of it has a tombstone."""
        return not self._keys

    @property
    def state(self) -> str:
        return ASSIGNING if self._members else EMPTY

    @property
    def protocol_type(self) -> str:
        return self.group_type

    def replay(self, record: "CoordinatorRecord") -> None:
        key = record.key
        encoded = bytes(key.encode(0))
        name = type(key).__name__.encode()
        if record.value is None:
            self._keys.pop(name + encoded, None)
        else:
            self._keys[name + encoded] = key
        if type(key).__name__.endswith("GroupMemberMetadataKey"):
            member_id: str = getattr(key, "member_id")  # noqa: B009
            (self._members.discard if record.value is None else self._members.add)(member_id)

    def live_keys(self) -> "list[Message]":
        """Keys of all its records, the last written first, so that the group's own record goes last."""
        return list(reversed(self._keys.values()))
