"""All share partitions that this broker leads, and the share sessions of their members. (SharePartitionManager)

Synchronous but for what asks the persister: that is handed to `share_loop` as jobs, so that nothing is lost when the
client that caused it has gone.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from pykbroker.clock import Clock
from pykbroker.coordinator.share.persister import Persister
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicIdPartition
from pykbroker.metadata.features import SHARE_VERSION
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.list_offsets import EARLIEST as EARLIEST_TIMESTAMP
from pykbroker.replica.list_offsets import LATEST as LATEST_TIMESTAMP
from pykbroker.replica.list_offsets import NOT_FOUND, offset_for
from pykbroker.replica.replica_manager import ReplicaManager
from pykbroker.share.acknowledge import Acknowledgement, acknowledge, release_acquired, release_expired
from pykbroker.share.group_limits import EARLIEST, LATEST, READ_UNCOMMITTED, GroupLimits, timestamp_of
from pykbroker.share.led_partition import LedPartition
from pykbroker.share.share_partition import SharePartition, SharePartitionKey, StateUpdate, Status
from pykbroker.share.share_session import RowKey, SessionKey, ShareSessionCache

if TYPE_CHECKING:
    from pykbroker.metadata.delta import MetadataDelta
    from pykbroker.metadata.image import MetadataImage

LOG = logging.getLogger("pykbroker.share")
NOT_HOSTED = "This server does not host this topic-partition."
_CONSUMER = -1

Job = Callable[[], Awaitable[None]]


class SharePartitionManager:
    """`is_closing`: waiting share fetches are answered at once."""

    def __init__(
        self,
        *,
        replicas: ReplicaManager,
        persister: Persister,
        clock: Clock,
        limits: GroupLimits,
        sessions: ShareSessionCache,
    ) -> None:
        self.replicas = replicas
        self.clock = clock
        self.limits = limits
        self.sessions = sessions
        self.jobs: deque[Job] = deque()
        # When the next lock may run out, seconds of clock.monotonic: never too late.
        self.deadline = inf
        # Called when there are jobs, or an earlier deadline.
        self.on_work: Callable[[], None] = lambda: None
        self.is_closing = False
        self._persister = persister
        self._groups: dict[str, dict[RowKey, LedPartition]] = {}
        # Those removed whose last writes are under way: who reads the state next waits for them.
        self._retiring: dict[SharePartitionKey, Pending[None]] = {}
        sessions.on_member_leave = self._on_member_leave
        sessions.on_group_empty = self._remove_group

    def _led(self) -> Iterator[LedPartition]:
        for group in self._groups.values():
            yield from group.values()

    # -- share partitions

    def find(self, group_id: str, key: RowKey) -> LedPartition | None:
        group = self._groups.get(group_id)
        return None if group is None else group.get(key)

    def open(self, group_id: str, topic: TopicIdPartition) -> LedPartition:
        """The share partition, its state being read if it is new. Raises KafkaError when it is not led here."""
        key = (topic.topic_id, topic.partition)
        found = self.find(group_id, key)
        if found is not None:
            return found
        partition = self.replicas.partition(topic.topic_partition)
        partition.check_leader()
        if partition.topic_id != topic.topic_id:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        share = SharePartition(
            SharePartitionKey(group_id, topic), partition.leader_epoch, partial(self.limits.of, group_id)
        )
        led = LedPartition(share, partition, self.remove)
        led.follow()
        self._groups.setdefault(group_id, {})[key] = led
        share.status = Status.INITIALIZING
        self._start(partial(self._initialize, led))
        return led

    def remove(self, led: LedPartition) -> None:
        """It is led no more, or its state is not what is written."""
        group_id, topic = led.share.key
        key = (topic.topic_id, topic.partition)
        if self.find(group_id, key) is led:
            del self._groups[group_id][key]
            if not self._groups[group_id]:
                del self._groups[group_id]
        led.unfollow()
        if led.writing is not None:
            self._retiring[led.share.key] = led.writing
        if led.share.status is not Status.FAILED:
            led.share.fence()

    def _remove_group(self, group_id: str) -> None:
        for led in list(self._groups.get(group_id, {}).values()):
            self.remove(led)

    async def _initialize(self, led: LedPartition) -> None:
        # With its messages only when the first share partition is used: a broker starts in no time.
        from pykbroker.share.persister_calls import UNINITIALIZED, read_request, read_result

        share = led.share
        before = self._retiring.get(share.key)
        if before is not None:
            await before.wait()
        try:
            row = read_result(share.key, await self._persister.read_state(read_request(share)))
            start = row.start_offset
            if start == UNINITIALIZED:
                start = self._initial_offset(led)
            if share.status is Status.INITIALIZING:  # it may have been fenced meanwhile
                share.initialize(start, row.state_epoch, row.state_batches)
        except KafkaError as error:
            LOG.info("The state of share partition %s cannot be read: %s", share.key, error)
            share.status = Status.FAILED
            led.failure = error
            self.remove(led)
        share.wake()

    def _initial_offset(self, led: LedPartition) -> int:
        """By share.auto.offset.reset. Raises KafkaError."""
        reset = self.limits.auto_offset_reset(led.share.key.group_id)
        if reset == LATEST:
            timestamp = LATEST_TIMESTAMP
        elif reset == EARLIEST:
            timestamp = EARLIEST_TIMESTAMP
        else:
            timestamp = timestamp_of(reset, self.clock.wall_ms())
        found = offset_for(
            led.partition,
            timestamp,
            isolation_level=READ_UNCOMMITTED,
            replica_id=_CONSUMER,
            current_leader_epoch=led.share.leader_epoch,
        )
        if found == NOT_FOUND:
            raise KafkaError(
                ErrorCode.OFFSET_NOT_AVAILABLE,
                f"Offset for timestamp {timestamp} not found for topic partition: {led.share.key.partition}",
            )
        return found.offset

    # -- acknowledgements

    def acknowledge(
        self, group_id: str, member_id: str, topic: RowKey, acknowledgements: list[Acknowledgement]
    ) -> Pending[None]:
        """Done when the persister has it, failed with a KafkaError when nothing of it counts."""
        led = self.find(group_id, topic)
        if led is None:
            return _failed(KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NOT_HOSTED))
        try:
            update = acknowledge(led.share, member_id, acknowledgements, self.clock.monotonic())
        except KafkaError as error:
            return _failed(error)
        self.look_at_locks(led)
        return self._write(led, update)

    def release_session(self, key: SessionKey) -> bool:
        """What the member has acquired is available again. False: there is no such session."""
        session = self.sessions.remove(key)
        if session is None:
            return False
        for topic in session.rows:
            led = self.find(key.group_id, topic)
            if led is not None:
                self._write(led, release_acquired(led.share, key.member_id))
        return True

    def _on_member_leave(self, key: SessionKey) -> None:
        self.release_session(key)

    def disconnected(self, connection: object) -> None:
        """A client has gone: what it had is released."""
        self.sessions.disconnected(connection)

    # -- what is written

    def _write(self, led: LedPartition, update: StateUpdate) -> Pending[None]:
        pending: Pending[None] = Pending()
        if not update:
            pending.complete(None)
            return pending
        led.writes.append((update, pending))
        if led.writing is None:
            led.writing = Pending()
            self._start(partial(self._write_all, led))
        return pending

    async def _write_all(self, led: LedPartition) -> None:
        from pykbroker.share.persister_calls import FENCING, check_written, write_request

        while led.writes:
            update, pending = led.writes.popleft()
            try:
                request = write_request(led.share, update)
                check_written(led.share.key, await self._persister.write_state(request))
            except KafkaError as error:
                LOG.warning("The state of share partition %s cannot be written: %s", led.share.key, error)
                led.share.complete(update, is_written=False)
                if error.code in FENCING:
                    self.remove(led)
                pending.fail(error)
            else:
                led.share.complete(update, is_written=True)
                pending.complete(None)
        assert led.writing is not None
        led.writing.complete(None)
        led.writing = None
        self._retiring.pop(led.share.key, None)

    # -- jobs and deadlines

    def _start(self, job: Job) -> None:
        self.jobs.append(job)
        self.on_work()

    def look_at_locks(self, led: LedPartition) -> None:
        """Something was acquired or renewed there."""
        deadline = led.share.locks.next_deadline()
        if deadline < self.deadline:
            self.deadline = deadline
            self.on_work()

    def on_deadline(self) -> None:
        """Releases what was acquired too long ago."""
        now = self.clock.monotonic()
        for led in list(self._led()):
            if led.share.locks.next_deadline() <= now:
                self._write(led, release_expired(led.share, now))
        self.deadline = min((led.share.locks.next_deadline() for led in self._led()), default=inf)

    # -- the broker

    def on_metadata_update(self, delta: "MetadataDelta", image: "MetadataImage") -> None:
        """share.version 0: nothing of this exists any more."""
        if delta.base.features.level(SHARE_VERSION) and not image.features.level(SHARE_VERSION):
            self.sessions.clear()
            for led in list(self._led()):
                self.remove(led)

    def close(self) -> None:
        """Whoever waits is answered."""
        self.is_closing = True
        for led in list(self._led()):
            led.share.wake()


def _failed(error: KafkaError) -> Pending[None]:
    pending: Pending[None] = Pending()
    pending.fail(error)
    return pending
