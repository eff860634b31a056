"""The state of one share partition, as its records add up to it (ShareGroupOffset)."""

from typing import TYPE_CHECKING, Final, NamedTuple

from pykbroker.coordinator.share.state_batches import KEEP_START_OFFSET, Batches, combine, from_wire

if TYPE_CHECKING:
    from pykbroker.protocol.persisted.share.share_snapshot import ShareSnapshotValue
    from pykbroker.protocol.persisted.share.share_update import ShareUpdateValue

UNKNOWN_LEADER_EPOCH: Final = -1
NO_EPOCH: Final = -(2**31)  # lower than any that a request may have
NO_OFFSET: Final = -1
_DEFAULT_EPOCH: Final = 0
_NO_TIMESTAMP: Final = 0


class ShareGroupOffset(NamedTuple):
    """What a ShareSnapshot says, plus the ShareUpdates after it. Timestamps are milliseconds since 1970."""

    snapshot_epoch: int
    state_epoch: int
    leader_epoch: int
    start_offset: int
    delivery_complete_count: int
    create_timestamp: int
    write_timestamp: int
    batches: Batches

    @classmethod
    def from_snapshot(cls, value: "ShareSnapshotValue") -> "ShareGroupOffset":
        return cls(
            value.snapshot_epoch,
            value.state_epoch,
            value.leader_epoch,
            value.start_offset,
            value.delivery_complete_count,
            value.create_timestamp,
            value.write_timestamp,
            from_wire(value.state_batches),
        )

    @classmethod
    def from_update(cls, value: "ShareUpdateValue") -> "ShareGroupOffset":
        """Without a snapshot: the log begins behind it, and a later one follows."""
        return cls(
            value.snapshot_epoch,
            _DEFAULT_EPOCH,
            value.leader_epoch,
            value.start_offset,
            value.delivery_complete_count,
            _NO_TIMESTAMP,
            _NO_TIMESTAMP,
            from_wire(value.state_batches),
        )

    def updated(self, value: "ShareUpdateValue") -> "ShareGroupOffset":
        start = self.start_offset if value.start_offset == KEEP_START_OFFSET else value.start_offset
        keeps_leader = value.leader_epoch == UNKNOWN_LEADER_EPOCH
        return self._replace(
            leader_epoch=self.leader_epoch if keeps_leader else value.leader_epoch,
            start_offset=start,
            delivery_complete_count=value.delivery_complete_count,
            batches=combine(self.batches, from_wire(value.state_batches), start),
        )

    @property
    def is_cold(self) -> bool:
        """The latest snapshot was taken because nothing had changed for long."""
        return self.create_timestamp != self.write_timestamp


class SharePartitionState(NamedTuple):
    """`leader_epoch`, `state_epoch`: the highest ever heard of, so that older ones are fenced.

    `updates`: how many came since the count began anew, which only a full number lets happen.
    `snapshot_offset`: where in the log the latest snapshot is.
    """

    offset: ShareGroupOffset
    leader_epoch: int = NO_EPOCH
    state_epoch: int = NO_EPOCH
    updates: int = 0
    snapshot_offset: int = NO_OFFSET


def after_snapshot(
    state: SharePartitionState | None, value: "ShareSnapshotValue", log_offset: int, updates_per_snapshot: int
) -> SharePartitionState:
    offset = ShareGroupOffset.from_snapshot(value)
    if state is None:
        return SharePartitionState(offset, value.leader_epoch, value.state_epoch, 0, log_offset)
    return SharePartitionState(
        offset,
        max(state.leader_epoch, value.leader_epoch),
        max(state.state_epoch, value.state_epoch),
        0 if state.updates >= updates_per_snapshot else state.updates,
        log_offset,
    )


def after_update(state: SharePartitionState | None, value: "ShareUpdateValue") -> SharePartitionState:
    if state is None:
        return SharePartitionState(ShareGroupOffset.from_update(value), value.leader_epoch, updates=1)
    return state._replace(
        offset=state.offset.updated(value),
        leader_epoch=max(state.leader_epoch, value.leader_epoch),
        updates=state.updates + 1,
    )
