"""Members of groups that cost little themselves: frames spliced from templates, answers read by position.

Only what few of them hear is decoded as a whole: the list of members, and assignments. A member says the next thing as
soon as it is answered; once it has nothing to say it beats, PAUSE after the answer to the last beat.
"""

import struct
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from pykbroker.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from tools.bench.wire import frame

JOIN, SYNC, HEARTBEAT, LEAVE, BEAT = 9, 5, 4, 5, 1  # versions, all flexible
PAUSE: Final = 0.001  # seconds
_BODY: Final = 5  # bytes before the body of an answer: correlation id, tagged fields
_ERROR_AND_NUMBER: Final = struct.Struct(">5x4xhi")  # header, throttle time; error code, generation
_LEAVE_EPOCH: Final = -1
_LATER: Final = frozenset(
    (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR)
)
# Holes in the templates: a member id as long as both brokers make it, a generation that nobody reaches.
_ID: Final = "?" * len(f"bench-{uuid.UUID(int=0)}")
_GENERATION: Final = b"#gen"


def error_of(answer: memoryview) -> int:
    """Of JoinGroup, SyncGroup and the heartbeats."""
    return int.from_bytes(answer[9:11], "big", signed=True)


def _short_text(answer: memoryview, at: int) -> tuple[bytes, int]:
    """A compact string of less than 127 bytes, empty for null, and the position behind it."""
    end = at + max(answer[at], 1)
    return bytes(answer[at + 1 : end]), end


class Member(ABC):
    group: str

    @abstractmethod
    def says(self) -> bytes:
        """The next request."""

    @abstractmethod
    def hear(self, answer: memoryview) -> bool:
        """False: there is nothing to say but a heartbeat, or the same once more. Raises RuntimeError."""

    @abstractmethod
    def farewell(self) -> bytes:
        """Leaves the group."""


class Templates:
    """Requests of the members of one classic group; made before the clock starts."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.first = frame(ApiKey.JOIN_GROUP, JOIN, self._join(""))
        self._again = frame(ApiKey.JOIN_GROUP, JOIN, self._join(_ID))
        self._follow = frame(ApiKey.SYNC_GROUP, SYNC, self._sync([]))
        beat = HeartbeatRequest(group_id=group, generation_id=int.from_bytes(_GENERATION, "big"), member_id=_ID)
        self._beat = frame(ApiKey.HEARTBEAT, HEARTBEAT, beat)

    def _join(self, member_id: str) -> JoinGroupRequest:
        return JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=30_000,
            rebalance_timeout_ms=60_000,
            member_id=member_id,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"\0\0\0\0\0\0\0\0\0\0")],
        )

    def _sync(self, members: Sequence[str]) -> SyncGroupRequest:
        return SyncGroupRequest(
            group_id=self.group,
            generation_id=int.from_bytes(_GENERATION, "big"),
            member_id=_ID,
            protocol_type="consumer",
            protocol_name="range",
            assignments=[SyncGroupRequestAssignment(member_id=name, assignment=b"x") for name in members],
        )

    def join(self, member_id: bytes) -> bytes:
        """Raises RuntimeError."""
        if len(member_id) != len(_ID):
            raise RuntimeError(f"a member id of {len(member_id)} bytes where {len(_ID)} were expected: {member_id!r}")
        return self._again.replace(_ID.encode(), member_id)

    def sync(self, member_id: bytes, generation: bytes, members: Sequence[str]) -> bytes:
        whole = frame(ApiKey.SYNC_GROUP, SYNC, self._sync(members)) if members else self._follow
        return whole.replace(_ID.encode(), member_id).replace(_GENERATION, generation)

    def beat(self, member_id: bytes, generation: bytes) -> bytes:
        return self._beat.replace(_ID.encode(), member_id).replace(_GENERATION, generation)


class Classic(Member):
    """`members` are those that the leader has heard of."""

    def __init__(self, templates: Templates) -> None:
        self.group = templates.group
        self.templates = templates
        self.step = "join"
        self.member_id = b""
        self.generation = b""
        self.members: list[str] = []
        self._next = templates.first

    @classmethod
    def team(cls, group: str, count: int) -> "list[Classic]":
        templates = Templates(group)
        return [cls(templates) for _ in range(count)]

    def says(self) -> bytes:
        return self._next

    def hear(self, answer: memoryview) -> bool:
        code = error_of(answer)
        if code == ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = self._joined(answer)[1]
            self._next = self.templates.join(self.member_id)
        elif code in (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.ILLEGAL_GENERATION):
            self.step, self._next = "join", self.templates.join(self.member_id)
        elif code in _LATER:
            return False
        elif code:
            raise RuntimeError(f"{self.step} is answered with error {code}")
        elif self.step == "join":
            self._follow(answer)
        elif self.step == "sync":
            self.step, self._next = "beat", self.templates.beat(self.member_id, self.generation)
        else:
            return False
        return True

    def _joined(self, answer: memoryview) -> tuple[bytes, bytes]:
        """The leader and who is told."""
        at = _ERROR_AND_NUMBER.size
        for _ in ("protocol type", "protocol name"):
            _, at = _short_text(answer, at)
        leader, at = _short_text(answer, at)
        return leader, _short_text(answer, at + 1)[0]

    def _follow(self, answer: memoryview) -> None:
        _, number = _ERROR_AND_NUMBER.unpack_from(answer)
        leader, told = self._joined(answer)
        self.members = []
        if leader == told:
            rows = JoinGroupResponse.decode(bytes(answer), JOIN, _BODY)[0].members
            self.members = [row.member_id for row in rows]
        self.generation = number.to_bytes(4, "big")
        self.step, self._next = "sync", self.templates.sync(self.member_id, self.generation, self.members)

    def farewell(self) -> bytes:
        identity = MemberIdentity(member_id=self.member_id.decode())
        return frame(ApiKey.LEAVE_GROUP, LEAVE, LeaveGroupRequest(group_id=self.group, members=[identity]))


class Consumer(Member):
    """Tells everything when it joins, then what has changed; an assignment it acknowledges at once, as clients do."""

    def __init__(self, group: str, topic: str) -> None:
        self.group = group
        self.member_id = str(uuid.uuid4())
        self.epoch = 0
        self.owned: list[TopicPartitions] = []
        self._next = self._beat(rebalance_timeout_ms=60_000, subscribed_topic_names=[topic], topic_partitions=[])

    @classmethod
    def team(cls, group: str, topic: str, count: int) -> "list[Consumer]":
        return [cls(group, topic) for _ in range(count)]

    @property
    def load(self) -> int:
        """Partitions that it has."""
        return sum(len(row.partitions) for row in self.owned)

    def _beat(self, **news: Any) -> bytes:
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group, member_id=self.member_id, member_epoch=self.epoch, **news
        )
        return frame(ApiKey.CONSUMER_GROUP_HEARTBEAT, BEAT, request)

    def says(self) -> bytes:
        return self._next

    def hear(self, answer: memoryview) -> bool:
        if code := error_of(answer):
            raise RuntimeError(f"a heartbeat is answered with error {code}")
        told = ConsumerGroupHeartbeatResponse.decode(bytes(answer), BEAT, _BODY)[0]
        self.epoch = told.member_epoch
        if told.assignment is None:
            self._next = self._beat()
            return False
        self.owned = [
            TopicPartitions(topic_id=row.topic_id, partitions=row.partitions)
            for row in told.assignment.topic_partitions
        ]
        self._next = self._beat(topic_partitions=self.owned)
        return True

    def farewell(self) -> bytes:
        self.epoch = _LEAVE_EPOCH
        return self._beat()


def is_stable_generation(team: Sequence[Classic]) -> bool:
    """All have their assignment of one generation, which the leader made for all."""
    first = team[0].generation
    if any(member.step != "beat" or member.generation != first for member in team):
        return False
    return max(len(member.members) for member in team) == len(team)


def is_spread(team: Sequence[Consumer]) -> bool:
    """Each has one partition; there are as many partitions as members."""
    return all(member.load == 1 for member in team)
