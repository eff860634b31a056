"""The in-sync replicas of a partition that this broker leads: who joins, who leaves, how far is committed. Pure.

What the leader wants is proposed to the controller (AlterPartition) and counts when that has agreed; until then the
high watermark waits for the larger of both sets, the maximal ISR. (kafka.cluster.Partition's PartitionState; KIP-497,
KIP-841, KIP-903, KIP-966)
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pykbroker.clock import Clock
from pykbroker.replica.follower_progress import NO_BROKER_EPOCH, FollowerProgress

if TYPE_CHECKING:
    from pykbroker.metadata.image import BrokerRegistration
    from pykbroker.metadata.topics import PartitionImage

NO_REGISTRATIONS: "Mapping[int, BrokerRegistration]" = {}


class LeaderAndIsr(NamedTuple):
    """What the controller is asked to decide. `isr`: (broker id, broker epoch)."""

    leader_epoch: int
    partition_epoch: int
    isr: tuple[tuple[int, int], ...]


class CommittedPartitionState(NamedTuple):
    """As the controller has it."""

    isr: tuple[int, ...]

    @property
    def maximal_isr(self) -> tuple[int, ...]:
        return self.isr


class PendingExpandIsr(NamedTuple):
    """One more is to join: it counts at once, which only makes the high watermark wait for it."""

    new_in_sync_replica: int
    sent: LeaderAndIsr
    last_committed: CommittedPartitionState

    @property
    def isr(self) -> tuple[int, ...]:
        return self.last_committed.isr

    @property
    def maximal_isr(self) -> tuple[int, ...]:
        return (*self.last_committed.isr, self.new_in_sync_replica)


class PendingShrinkIsr(NamedTuple):
    """Some are to leave: they count until the controller has agreed, for it may not."""

    out_of_sync_replicas: frozenset[int]
    sent: LeaderAndIsr
    last_committed: CommittedPartitionState

    @property
    def isr(self) -> tuple[int, ...]:
        return self.last_committed.isr

    @property
    def maximal_isr(self) -> tuple[int, ...]:
        return self.last_committed.isr


PendingPartitionChange: TypeAlias = PendingExpandIsr | PendingShrinkIsr
PartitionState: TypeAlias = CommittedPartitionState | PendingPartitionChange


class Peers:
    """What leaders must know of the other brokers; one for all partitions. Filled from the metadata image."""

    def __init__(self, node_id: int, clock: Clock) -> None:
        self.node_id = node_id
        self.clock = clock
        self.brokers = NO_REGISTRATIONS
        # replica.lag.time.max.ms, in seconds.
        self.max_lag = 30.0

    @property
    def broker_epoch(self) -> int:
        """This broker's own, -1 as long as it is not registered."""
        own = self.brokers.get(self.node_id)
        return NO_BROKER_EPOCH if own is None else own.epoch

    def alive_epoch(self, broker_id: int) -> int | None:
        """The epoch of a broker that is registered and not fenced."""
        broker = self.brokers.get(broker_id)
        return None if broker is None or broker.fenced else broker.epoch

    def may_join(self, follower: FollowerProgress) -> bool:
        """Neither fenced nor shutting down, and it fetches as what is registered now: one that restarted since may
        have lost what it had (KIP-841, KIP-903)."""
        broker = self.brokers.get(follower.id)
        if broker is None or not broker.is_active or follower.broker_epoch is None:
            return False
        return follower.broker_epoch in (NO_BROKER_EPOCH, broker.epoch)


class InSyncReplicas:
    """Of one partition, as long as this broker leads it. `propose` sends a change to the controller."""

    __slots__ = ("_peers", "_propose", "followers", "leader_epoch", "partition_epoch", "state")

    def __init__(
        self, peers: Peers, propose: "Callable[[PendingPartitionChange], None]", leader_epoch: int = -1
    ) -> None:
        """`leader_epoch`: the one before, which may be that of the first image, too."""
        self._peers = peers
        self._propose = propose
        self.followers: dict[int, FollowerProgress] = {}
        self.state: PartitionState = CommittedPartitionState(())
        self.leader_epoch = leader_epoch
        self.partition_epoch = -1

    # What the controller says

    def take_over(self, image: "PartitionImage", log_end_offset: int, *, is_new_leader: bool) -> None:
        """Assignment and ISR as decided; with another leader epoch the followers begin anew (makeLeader)."""
        own = self._peers.node_id
        known = {} if is_new_leader else self.followers
        self.followers = {id_: known.get(id_) or FollowerProgress(id_) for id_ in image.replicas if id_ != own}
        self.state = CommittedPartitionState(image.isr)
        self.partition_epoch = image.partition_epoch
        if is_new_leader or image.leader_epoch > self.leader_epoch:
            self.leader_epoch = image.leader_epoch
            now = self._peers.clock.monotonic()
            for follower in self.followers.values():
                is_in_sync = follower.id in image.isr
                follower.reset(log_end_offset, now, is_new_leader=is_new_leader, is_in_sync=is_in_sync)

    def agreed(
        self, change: PendingPartitionChange, leader_epoch: int, partition_epoch: int, isr: Iterable[int]
    ) -> bool:
        """The controller's answer to a proposal; False: it came too late to count (handleAlterPartitionUpdate)."""
        if self.state is not change or leader_epoch != self.leader_epoch or partition_epoch < self.partition_epoch:
            return False
        self.state = CommittedPartitionState(tuple(isr))
        self.partition_epoch = partition_epoch
        return True

    def rejected(self, change: PendingPartitionChange) -> None:
        """The controller has not done it, and says that nobody has."""
        if self.state is change:
            self.state = change.last_committed

    # What followers say

    def fetched(
        self, follower: FollowerProgress, offset: int, log_start_offset: int, leader_end: int, broker_epoch: int
    ) -> None:
        """Raises NOT_LEADER_OR_FOLLOWER."""
        peers = self._peers
        registered = peers.alive_epoch(follower.id)
        follower.fetched(offset, log_start_offset, leader_end, broker_epoch, registered, peers.clock.monotonic())

    def polled(self, follower_id: int, log_end_offset: int, log_start_offset: int, broker_epoch: int) -> bool:
        """The same for one in sync that has everything and says nothing but that; False: fetched() has to look."""
        follower = self.followers.get(follower_id)
        if (
            follower is None
            or follower.log_end_offset != log_end_offset
            or follower.log_start_offset != log_start_offset
            or follower.broker_epoch != broker_epoch
            or follower_id not in self.state.isr
        ):
            return False
        registered = self._peers.alive_epoch(follower_id)
        if registered is not None and registered > broker_epoch:
            return False
        follower.last_caught_up = follower.last_fetch = self._peers.clock.monotonic()
        follower.last_fetch_leader_end = max(follower.last_fetch_leader_end, log_end_offset)
        return True

    def ends_of(self, broker_ids: Iterable[int]) -> dict[int, int]:
        """Log end offsets, for people."""
        return {id_: self.followers[id_].log_end_offset for id_ in broker_ids if id_ in self.followers}

    # How far is committed

    def is_under_min(self, min_in_sync_replicas: int) -> bool:
        """Fewer in sync than wanted, or than there are replicas at all (effectiveMinIsr)."""
        return len(self.state.isr) < min(min_in_sync_replicas, len(self.followers) + 1)

    def is_maximal_under_min(self, min_in_sync_replicas: int) -> bool:
        return len(self.state.maximal_isr) < min(min_in_sync_replicas, len(self.followers) + 1)

    def committed_end(self, log_end_offset: int) -> int:
        """Where the log of the last one ends, of those in sync and of those about to be: without waiting for these
        they might never get there (maybeIncrementLeaderHW)."""
        end = log_end_offset
        maximal = self.state.maximal_isr
        for follower in self.followers.values():
            if follower.log_end_offset < end and (follower.id in maximal or self._is_joining(follower, log_end_offset)):
                end = follower.log_end_offset
        return end

    def _is_joining(self, follower: FollowerProgress, log_end_offset: int) -> bool:
        peers = self._peers
        now = peers.clock.monotonic()
        return follower.is_caught_up(log_end_offset, now, peers.max_lag) and peers.may_join(follower)

    def low_watermark(self, log_start_offset: int) -> int:
        """The smallest log start offset of all replicas that are alive (lowWatermarkIfLeader)."""
        starts = [
            follower.log_start_offset
            for follower in self.followers.values()
            if self._peers.alive_epoch(follower.id) is not None
        ]
        return min([log_start_offset, *starts])

    # Who joins, who leaves

    def expand(self, follower: FollowerProgress, high_watermark: int, epoch_start_offset: int) -> None:
        """Proposes that `follower` joins when it has all that is committed, and all that was when this epoch began:
        what the leader before had committed may lie above the high watermark."""
        state = self.state
        if not isinstance(state, CommittedPartitionState) or follower.id in state.isr:
            return
        end = follower.log_end_offset
        if end >= high_watermark and end >= epoch_start_offset and self._peers.may_join(follower):
            self.state = PendingExpandIsr(follower.id, self._with((*state.isr, follower.id)), state)
            self._propose(self.state)

    def out_of_sync(self, log_end_offset: int) -> frozenset[int]:
        """Who did not catch up for replica.lag.time.max.ms."""
        peers = self._peers
        now = peers.clock.monotonic()
        return frozenset(
            id_
            for id_ in self.state.isr
            if id_ != peers.node_id
            and (id_ not in self.followers or not self.followers[id_].is_caught_up(log_end_offset, now, peers.max_lag))
        )

    def shrink(self, log_end_offset: int) -> frozenset[int]:
        """Proposes that those out of sync leave; who they are."""
        state = self.state
        if not isinstance(state, CommittedPartitionState):
            return frozenset()
        leaving = self.out_of_sync(log_end_offset)
        if leaving:
            rest = tuple(id_ for id_ in state.isr if id_ not in leaving)
            self.state = PendingShrinkIsr(leaving, self._with(rest), state)
            self._propose(self.state)
        return leaving

    def _with(self, isr: tuple[int, ...]) -> LeaderAndIsr:
        return LeaderAndIsr(self.leader_epoch, self.partition_epoch, tuple((id_, self._epoch_of(id_)) for id_ in isr))

    def _epoch_of(self, broker_id: int) -> int:
        """-1 skips the controller's check. One in sync that has not fetched yet: should it restart, the controller
        takes it out and the partition epoch of the proposal is old."""
        if broker_id == self._peers.node_id:
            return self._peers.broker_epoch
        follower = self.followers.get(broker_id)
        return NO_BROKER_EPOCH if follower is None or follower.broker_epoch is None else follower.broker_epoch
