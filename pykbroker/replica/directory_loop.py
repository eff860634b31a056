"""Carries out what replica directories need: copies in threads, and tells the controller where replicas lie.

Kafka: ReplicaAlterLogDirsManager, AssignmentsManager.
"""

from collections.abc import Callable, Mapping, Sequence
from logging import getLogger
from typing import TYPE_CHECKING, Protocol, cast

import trio

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicIdPartition, Uuid
from pykbroker.log.log_copy import CopyError, Round
from pykbroker.metadata.features import allows_directories
from pykbroker.protocol.apis import ApiKey
from pykbroker.replica.directory_move import DirectoryMove, ReplicaDirectories
from pykbroker.replica.replication_quota import ReplicationQuota

if TYPE_CHECKING:
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.messages.assign_replicas_to_dirs import (
        AssignReplicasToDirsRequest,
        AssignReplicasToDirsResponse,
    )

logger = getLogger(__name__)
# Seconds until the controller is asked again after it refused.
RETRY_PAUSE = 1.0
# In one request (AssignReplicasToDirsRequest.MAX_ASSIGNMENTS_PER_REQUEST).
MAX_ASSIGNMENTS = 2000


class Link(Protocol):
    """What this loop needs of a ControllerLink."""

    async def call(self, api_key: int, request: "Message") -> "Message":
        """Raises KafkaError."""


class DirectoryLoop:
    """One task: assignments first, then one move at a time."""

    def __init__(
        self,
        directories: ReplicaDirectories,
        link: Link,
        image: "Callable[[], MetadataImage]",
        node_id: int,
        broker_epoch: Callable[[], int],
        quota: ReplicationQuota,
    ) -> None:
        self._directories = directories
        self._link = link
        self._image = image
        self._node_id = node_id
        self._broker_epoch = broker_epoch
        self._quota = quota
        self._wake = trio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        self._directories.on_change = self._on_change
        self._directories.resume()
        while True:
            self._wake = trio.Event()
            pause = float("inf") if await self._assign_misplaced() else RETRY_PAUSE
            move = self._directories.next_move()
            if move is not None:
                await self._move(move)
                continue
            with trio.move_on_after(pause):
                await self._wake.wait()

    def _on_change(self) -> None:
        self._wake.set()

    # Assignments

    async def _assign_misplaced(self) -> bool:
        """Whether the controller knows of all replicas now."""
        for directory, partitions in self._directories.misplaced(self._image()).items():
            for start in range(0, len(partitions), MAX_ASSIGNMENTS):
                if not await self._assign(directory, partitions[start : start + MAX_ASSIGNMENTS]):
                    return False
        return True

    async def _assign(self, directory: Uuid, partitions: Sequence[TopicIdPartition]) -> bool:
        request = assignment_request(self._node_id, self._broker_epoch(), {directory: partitions})
        try:
            response = await self._link.call(ApiKey.ASSIGN_REPLICAS_TO_DIRS, request)
        except KafkaError as error:
            logger.warning(
                "The controller does not take the log directories of %d replicas: %s", len(partitions), error
            )
            return False
        refused = codes(cast("AssignReplicasToDirsResponse", response)) - {0}
        if refused:
            logger.warning("The controller refused log directories with error codes %s", sorted(refused))
        return not refused

    # Moves

    async def _move(self, move: DirectoryMove) -> None:
        directories = self._directories
        try:
            is_done = directories.is_wanted(move) and await self._carry_out(move)
        except CopyError as error:
            directories.fail(move, error)
            return
        if not is_done:
            directories.cancel(move)

    async def _carry_out(self, move: DirectoryMove) -> bool:
        """False: it is not wanted any more. Raises CopyError."""
        directories = self._directories
        directories.start(move)
        if not await self._copy(move):
            return False
        # Before the swap: after a crash the assignment decides which of two logs is right.
        while allows_directories(self._image().features.metadata_version):
            partition = move.partition
            replica = TopicIdPartition(partition.topic_id, *partition.topic_partition)
            if await self._assign(move.target.id, [replica]):
                break
            await trio.sleep(RETRY_PAUSE)
            if not directories.is_wanted(move):
                return False
        if not await self._copy(move):
            return False
        tail = move.partition.log.active.size
        directories.finish(move)
        self._quota.record(tail, trio.current_time())
        return True

    async def _copy(self, move: DirectoryMove) -> bool:
        """Round by round until next to nothing is missing. Raises CopyError."""
        while await self._rest(move):
            assert move.copy is not None
            copying = move.copy.next_round()
            if copying is None:
                return True
            if await self._copy_round(move, copying) and move.copy is not None:
                move.copy.copied(copying)
        return False

    async def _copy_round(self, move: DirectoryMove, copying: Round) -> bool:
        """Piece by piece. False: it is not wanted any more. Raises CopyError."""
        while True:
            # A stop need not wait: what is incomplete then begins anew.
            count = await trio.to_thread.run_sync(next, copying.steps, None, abandon_on_cancel=True)
            if count is None:
                return True
            self._quota.record(count, trio.current_time())
            if not await self._rest(move):
                return False

    async def _rest(self, move: DirectoryMove) -> bool:
        """As long as the quota says. False: it is not wanted any more."""
        while self._directories.is_wanted(move):
            seconds = self._quota.rest(trio.current_time())
            if not seconds:
                return True
            await trio.sleep(seconds)
        return False


def assignment_request(
    node_id: int, broker_epoch: int, assignments: Mapping[Uuid, Sequence[TopicIdPartition]]
) -> "AssignReplicasToDirsRequest":
    from pykbroker.protocol.messages.assign_replicas_to_dirs import (
        AssignReplicasToDirsRequest,
        DirectoryData,
        PartitionData,
        TopicData,
    )

    directories = []
    for directory, partitions in assignments.items():
        topics: dict[Uuid, list[PartitionData]] = {}
        for each in partitions:
            topics.setdefault(each.topic_id, []).append(PartitionData(each.partition))
        directories.append(DirectoryData(directory, [TopicData(*topic) for topic in topics.items()]))
    return AssignReplicasToDirsRequest(broker_id=node_id, broker_epoch=broker_epoch, directories=directories)


def codes(response: "AssignReplicasToDirsResponse") -> set[int]:
    """All error codes in it."""
    rows = [row for directory in response.directories for topic in directory.topics for row in topic.partitions]
    return {response.error_code, *(row.error_code for row in rows)}
