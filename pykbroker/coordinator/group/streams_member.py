"""A member of a streams group, as an immutable value (StreamsGroupMember, MemberState). KIP-1071."""

from enum import IntEnum
from typing import Final, NamedTuple

from pykbroker.coordinator.group.streams_tasks import NOTHING_HELD, HeldTasks

LEAVE: Final = -1
LEAVE_STATIC: Final = -2


class MemberState(IntEnum):
    """The number is the one of StreamsGroupCurrentMemberAssignmentValue."""

    STABLE = 1
    UNREVOKED_TASKS = 2  # it must give some back before it goes on
    UNRELEASED_TASKS = 3  # it waits for other processes to give some back
    UNKNOWN = 127  # of a newer version


class Endpoint(NamedTuple):
    """Where the application of a member answers interactive queries."""

    host: str
    port: int


class StreamsMember(NamedTuple):
    """`held` it may process, `revoking` it must give back. `process_id` is shared by the threads of a process."""

    member_id: str
    epoch: int = 0
    previous_epoch: int = 0
    state: MemberState = MemberState.STABLE
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout_ms: int = -1
    topology_epoch: int = -1
    process_id: str = ""
    user_endpoint: Endpoint | None = None
    client_tags: tuple[tuple[str, str], ...] = ()  # by key
    held: HeldTasks = NOTHING_HELD
    revoking: HeldTasks = NOTHING_HELD

    def is_reconciled_to(self, assignment_epoch: int) -> bool:
        return self.state == MemberState.STABLE and self.epoch == assignment_epoch

    def moved_to(self, epoch: int) -> "StreamsMember":
        """In another epoch, or once more in the same one; the one before is remembered either way."""
        return self._replace(epoch=epoch, previous_epoch=self.epoch)

    def assignment_epoch(self, subtopology_id: str, partition: int) -> int | None:
        """Since when it has an active task, which it may have to give back; None: it has not."""
        for tasks in (self.held, self.revoking):
            epoch = tasks.active.get(subtopology_id, {}).get(partition)
            if epoch is not None:
                return epoch
        return None
