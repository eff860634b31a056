"""A member of a classic group: what it said in JoinGroup, and the replies it waits for (ClassicGroupMember)."""

from collections.abc import Container
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pykbroker.coordinator.shard import Reply
    from pykbroker.protocol.messages.join_group import JoinGroupResponse
    from pykbroker.protocol.messages.sync_group import SyncGroupResponse

# (name, metadata), in the member's order of preference
Protocols = tuple[tuple[str, bytes], ...]


class ClassicMember:
    """Timeouts are milliseconds. `is_new`: it joined in the rebalance going on, so it has no session yet."""

    __slots__ = (
        "assignment",
        "awaiting_join",
        "awaiting_sync",
        "client_host",
        "client_id",
        "instance_id",
        "is_new",
        "member_id",
        "protocols",
        "rebalance_timeout_ms",
        "session_timeout_ms",
        "timer",
    )

    def __init__(
        self,
        group_id: str,
        member_id: str,
        instance_id: str | None,
        client_id: str,
        client_host: str,
        rebalance_timeout_ms: int,
        session_timeout_ms: int,
        protocols: Protocols,
        assignment: bytes = b"",
    ) -> None:
        self.timer = heartbeat_timer(group_id, member_id)
        self.member_id = member_id
        self.instance_id = instance_id
        self.client_id = client_id
        self.client_host = client_host
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.session_timeout_ms = session_timeout_ms
        self.protocols = protocols
        self.assignment = assignment
        self.is_new = False
        self.awaiting_join: Reply[JoinGroupResponse] | None = None
        self.awaiting_sync: Reply[SyncGroupResponse] | None = None

    @property
    def is_static(self) -> bool:
        return self.instance_id is not None

    @property
    def has_satisfied_heartbeat(self) -> bool:
        """A member that waits for us can't heartbeat, and is not expected to."""
        return not self.is_new and (self.awaiting_join is not None or self.awaiting_sync is not None)

    def metadata(self, protocol: str | None) -> bytes | None:
        """What it said about a protocol; None when it does not support it."""
        return next((metadata for name, metadata in self.protocols if name == protocol), None)

    def vote(self, candidates: Container[str]) -> str:
        """Its first choice among protocols that all members support."""
        return next(name for name, _ in self.protocols if name in candidates)

    def __repr__(self) -> str:
        return f"<ClassicMember {self.member_id} instance {self.instance_id}>"


def heartbeat_timer(group_id: str, member_id: str) -> tuple[str, str, str]:
    return ("heartbeat", group_id, member_id)
