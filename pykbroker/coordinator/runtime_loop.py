"""The shards of one internal topic that this broker leads: elections, operations, one task (CoordinatorRuntime)."""

import logging
from collections.abc import Callable
from math import inf
from typing import Any, Generic, TypeVar

import trio

from pykbroker.clock import Clock
from pykbroker.coordinator.context import ACTIVE, FAILED, LOADING, CoordinatorContext, Settings
from pykbroker.coordinator.partition_writer import PartitionWriter
from pykbroker.coordinator.shard import Outcome, Shard
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Shard)
T = TypeVar("T")


class CoordinatorRuntime(Generic[S]):
    """Operations run to their end without a checkpoint, except for the wait for the commit."""

    def __init__(
        self,
        topic: str,
        new_shard: Callable[[], S],
        writer: PartitionWriter,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self.topic = topic
        self._new_shard = new_shard
        self._writer = writer
        self._clock = clock
        self._settings = settings
        self._contexts: dict[int, CoordinatorContext[S]] = {}
        self._wakeup: trio.Event | None = None
        self._sleeping_until = -inf

    # -- elections

    def elect(self, partition: int, leader_epoch: int) -> None:
        """This broker leads the partition now. What can be loaded at once is; the rest is loaded by `run`."""
        context = self._contexts.get(partition)
        if context is None:
            tp = TopicPartition(self.topic, partition)
            context = self._contexts[partition] = CoordinatorContext(
                tp, leader_epoch, self._new_shard, self._writer, self._clock, self._settings, Pending
            )
        elif context.epoch >= leader_epoch:
            return
        else:
            context.epoch = leader_epoch
            if context.state == FAILED:
                context.start_loading()
        context.load_step()
        self._wake()

    def resign(self, partition: int, leader_epoch: int | None) -> None:
        """Another broker leads since `leader_epoch`; None: the replica is gone."""
        context = self._contexts.get(partition)
        if context is not None and (leader_epoch is None or context.epoch < leader_epoch):
            del self._contexts[partition]
            context.close()

    def close(self) -> None:
        """Unloads everything: clients are told to look for another coordinator."""
        contexts, self._contexts = self._contexts, {}
        for context in contexts.values():
            context.close()

    # -- operations

    def shard(self, partition: int) -> S:
        """The loaded shard, for reading. Raises KafkaError COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR."""
        return self._context(partition).require_active()

    def shards(self) -> list[S]:
        """All loaded shards. Raises KafkaError COORDINATOR_LOAD_IN_PROGRESS while one is being loaded."""
        return [context.require_active() for context in self._contexts.values() if context.state != FAILED]

    def partitions(self) -> list[int]:
        return list(self._contexts)

    def is_active(self, partition: int) -> bool:
        context = self._contexts.get(partition)
        return context is not None and context.state == ACTIVE

    def epoch(self, partition: int) -> int:
        """The leader epoch under which this broker leads the partition. Raises KafkaError NOT_COORDINATOR."""
        return self._context(partition).epoch

    async def write(self, partition: int, operation: Callable[[S], Outcome[T]]) -> T | None:
        """The operation's response, once everything written is committed. Raises KafkaError, as the log has it."""
        outcome, waiter = self.begin(partition, operation)
        if waiter is not None:
            await waiter.wait()
        return outcome.response

    def begin(self, partition: int, operation: Callable[[S], Outcome[T]]) -> "tuple[Outcome[T], Pending[None] | None]":
        """Runs an operation: its outcome, and what to wait for before anyone hears of it; None: committed already.

        Raises KafkaError, as the log has it.
        """
        context = self._context(partition)
        try:
            outcome = operation(context.shard if context.state == ACTIVE else context.require_active())
            waiter: Any = context.apply(outcome)  # a Pending: its kind was given when the context was made
        finally:
            if context.next_deadline() < self._sleeping_until or context.state == LOADING:
                self._wake()
        return outcome, waiter

    def write_all(self, operation: Callable[[S], Outcome[T]]) -> None:
        """On every shard, for nobody who waits; on those being loaded, afterwards."""
        for context in list(self._contexts.values()):
            context.write_eventually(operation)
        self._wake()

    def _context(self, partition: int) -> CoordinatorContext[S]:
        context = self._contexts.get(partition)
        if context is None:
            raise KafkaError(ErrorCode.NOT_COORDINATOR)
        return context

    # -- the loop

    async def run(self) -> None:
        """Loads shards and runs their timers until cancelled; then unloads them."""
        try:
            while True:
                await trio.lowlevel.checkpoint()
                if not self.step():
                    await self._sleep()
        finally:
            self.close()

    def step(self) -> bool:
        """Runs what is due and a slice of what has to be loaded. False: nothing left but to sleep."""
        now = self._clock.monotonic()
        busy = False
        for context in list(self._contexts.values()):
            if context.state == ACTIVE:
                if context.next_deadline() <= now:
                    context.on_deadline()
            elif context.load_step():
                busy = True
        return busy

    async def _sleep(self) -> None:
        contexts = self._contexts.values()
        deadline = min((context.next_deadline() for context in contexts if context.state == ACTIVE), default=inf)
        self._wakeup = trio.Event()
        self._sleeping_until = deadline
        try:
            with trio.move_on_after(max(deadline - self._clock.monotonic(), 0)):
                await self._wakeup.wait()
        finally:
            self._wakeup = None
            self._sleeping_until = -inf

    def _wake(self) -> None:
        if self._wakeup is not None:
            self._wakeup.set()
