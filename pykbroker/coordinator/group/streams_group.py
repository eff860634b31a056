"""A streams group as its records say: members, topology, target assignment, epochs (StreamsGroup). KIP-1071.

It changes by replay alone (`streams_replay.py`); deciding is `streams.py`'s.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from pykbroker.coordinator.group.group_types import NOT_READY, STREAMS
from pykbroker.coordinator.group.streams_configured_topology import ConfiguredTopology
from pykbroker.coordinator.group.streams_member import StreamsMember
from pykbroker.coordinator.group.streams_tasks import HeldTasks, Tasks
from pykbroker.coordinator.group.streams_topology import Topology
from pykbroker.coordinator.timeline import Timeline, TimelineDict
from pykbroker.errors import KafkaError
from pykbroker.metadata.topics import TopicsImage
from pykbroker.protocol.error_codes import ErrorCode

EMPTY: Final = "Empty"
ASSIGNING: Final = "Assigning"
RECONCILING: Final = "Reconciling"
STABLE: Final = "Stable"

Task = tuple[str, int]
_NOBODY: Final[frozenset[str]] = frozenset()


class StreamsEpochs(NamedTuple):
    """`validated`: epoch of the topology whose topics fit, -1 while they do not; `assigned_at`: wall milliseconds.

    `configs`: those that the last target assignment was made with.
    """

    group: int = 1
    metadata_hash: int = 0
    validated: int = 0
    configs: tuple[tuple[str, str], ...] = ()
    assignment: int = 1
    assigned_at: int = 0


class Configured(NamedTuple):
    """What came of looking at the topics of the topology, and which topics these were."""

    topics: TopicsImage
    topology: Topology
    metadata_hash: int
    result: ConfiguredTopology


class StreamsGroup:
    """`[]`-like access is as written; `committed_*` as committed. The indexes follow what is written.

    `configured`, `shutdown_requested_by` and `endpoints_epoch` live in memory only, as in Kafka.
    """

    __slots__ = (
        "_state",
        "active_processes",
        "configured",
        "endpoints_epoch",
        "group_id",
        "members",
        "shutdown_requested_by",
        "standby_processes",
        "static_members",
        "targets",
        "warmup_processes",
    )
    group_type: Literal["streams"] = STREAMS
    protocol_type = STREAMS

    def __init__(self, group_id: str, timeline: Timeline) -> None:
        self.group_id = group_id
        self.members: TimelineDict[str, StreamsMember] = TimelineDict(timeline)
        self.targets: TimelineDict[str, Tasks] = TimelineDict(timeline)
        self._state: TimelineDict[str, tuple[StreamsEpochs, Topology | None]] = TimelineDict(timeline)
        self.active_processes: dict[Task, str] = {}
        self.standby_processes: dict[Task, frozenset[str]] = {}
        self.warmup_processes: dict[Task, frozenset[str]] = {}
        self.configured: Configured | None = None
        self.shutdown_requested_by: str | None = None
        self.endpoints_epoch = 0

    # -- what it is

    @property
    def epochs(self) -> StreamsEpochs:
        return self._both(committed=False)[0]

    @epochs.setter
    def epochs(self, epochs: StreamsEpochs) -> None:
        self._state[""] = epochs, self.topology

    @property
    def topology(self) -> Topology | None:
        return self._both(committed=False)[1]

    @topology.setter
    def topology(self, topology: Topology | None) -> None:
        self._state[""] = self.epochs, topology

    @property
    def committed_epochs(self) -> StreamsEpochs:
        return self._both(committed=True)[0]

    @property
    def committed_topology(self) -> Topology | None:
        return self._both(committed=True)[1]

    def _both(self, *, committed: bool) -> tuple[StreamsEpochs, Topology | None]:
        return (self._state.committed_get("") if committed else self._state.get("")) or (StreamsEpochs(), None)

    def committed_members(self) -> list[StreamsMember]:
        return [member for _, member in self.members.committed_items()]

    @property
    def state(self) -> str:
        return _state(self.epochs, self.topology, [member for _, member in self.members.items()])

    @property
    def committed_state(self) -> str:
        return _state(self.committed_epochs, self.committed_topology, self.committed_members())

    @property
    def is_empty(self) -> bool:
        return not len(self.members)

    def is_subscribed_to(self, topic: str) -> bool:
        topology = self.topology
        return not self.is_empty and topology is not None and topology.reader_of(topic) is not None

    def member(self, member_id: str) -> StreamsMember:
        """Raises KafkaError UNKNOWN_MEMBER_ID."""
        member = self.members.get(member_id)
        if member is None:
            raise KafkaError(
                ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {self.group_id}."
            )
        return member

    def target(self, member_id: str) -> Tasks:
        return self.targets.get(member_id) or Tasks()

    def with_member(self, updated: StreamsMember | None) -> dict[str, StreamsMember]:
        """All members as they will be."""
        rows = dict(self.members.items())
        if updated is not None:
            rows[updated.member_id] = updated
        return rows

    def configured_topology(self) -> ConfiguredTopology | None:
        return None if self.configured is None else self.configured.result

    # -- which process has a task

    def has_standby(self, task: Task, process_id: str) -> bool:
        return process_id in self.standby_processes.get(task, _NOBODY)

    def has_warmup(self, task: Task, process_id: str) -> bool:
        return process_id in self.warmup_processes.get(task, _NOBODY)

    # -- replay

    def put_member(self, member: StreamsMember) -> None:
        old = self.members.get(member.member_id)
        self.members[member.member_id] = member
        if old is not None:
            self._forget(old)
        for tasks in (member.held, member.revoking):
            self._remember(tasks, member.process_id)

    def remove_member(self, member_id: str) -> None:
        member = self.members.pop(member_id)
        if member is not None:
            self._forget(member)
        if self.is_empty:
            self.shutdown_requested_by = None

    def _remember(self, tasks: HeldTasks, process_id: str) -> None:
        for task in _pairs(tasks.active):
            self.active_processes[task] = process_id
        for index, rows in ((self.standby_processes, tasks.standby), (self.warmup_processes, tasks.warmup)):
            for task in _pairs(rows):
                index[task] = index.get(task, _NOBODY) | {process_id}

    def _forget(self, member: StreamsMember) -> None:
        """A task may be another process's by now."""
        for tasks in (member.held, member.revoking):
            for task in _pairs(tasks.active):
                if self.active_processes.get(task) == member.process_id:
                    del self.active_processes[task]
            for index, rows in ((self.standby_processes, tasks.standby), (self.warmup_processes, tasks.warmup)):
                for task in _pairs(rows):
                    _discard(index, task, member.process_id)

    def __repr__(self) -> str:
        return f"<StreamsGroup {self.group_id} {self.state} {self.epochs}, {len(self.members)} members>"


def _state(epochs: StreamsEpochs, topology: Topology | None, members: list[StreamsMember]) -> str:
    if not members:
        return EMPTY
    if topology is None or topology.epoch != epochs.validated:
        return NOT_READY
    if epochs.group > epochs.assignment:
        return ASSIGNING
    if all(member.is_reconciled_to(epochs.assignment) for member in members):
        return STABLE
    return RECONCILING


def _pairs(tasks: Mapping[str, Iterable[int]]) -> list[Task]:
    return [(key, partition) for key, rows in tasks.items() for partition in rows]


def _discard(index: dict[Task, frozenset[str]], task: Task, process_id: str) -> None:
    left = index.get(task, _NOBODY) - {process_id}
    if left:
        index[task] = left
    else:
        index.pop(task, None)
