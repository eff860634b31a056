"""Deadlines of the members of consumer groups: sessions, rebalances, and those of classic members.

Kafka: GroupMetadataManager.scheduleConsumerGroup…Timeout.
"""

from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.group.consumer_member import ConsumerMember, MemberState

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.timers import Timers

SESSION: Final = "consumer session"
REBALANCE: Final = "consumer rebalance"
JOIN: Final = "consumer join"
SYNC: Final = "consumer sync"
MEMBER_TIMERS: Final = (SESSION, REBALANCE, JOIN, SYNC)


class MemberTimers:
    """Remembers for which epoch a rebalance timer was set: in another one it means nothing."""

    __slots__ = ("_clock", "_rebalance_epochs", "_timers")

    def __init__(self, clock: "Clock", timers: "Timers") -> None:
        self._clock = clock
        self._timers = timers
        self._rebalance_epochs: dict[tuple[str, str], int] = {}

    def restart_session(self, group_id: str, member_id: str, timeout_ms: int) -> None:
        self._schedule(SESSION, group_id, member_id, timeout_ms)

    def after_step(self, group_id: str, member: ConsumerMember) -> None:
        """A member that must give something back has its rebalance timeout for it. Classic ones have other timers."""
        if member.uses_classic:
            return
        if member.state == MemberState.UNREVOKED_PARTITIONS:
            self._rebalance_epochs[group_id, member.member_id] = member.epoch
            self._schedule(REBALANCE, group_id, member.member_id, member.rebalance_timeout_ms)
        else:
            self._cancel(REBALANCE, group_id, member.member_id)

    def expect_join(self, group_id: str, member: ConsumerMember) -> None:
        """It heard that it must rejoin; hearing that again does not give it more time."""
        if self._timers.deadline((JOIN, group_id, member.member_id)) is None:
            self._schedule(JOIN, group_id, member.member_id, member.rebalance_timeout_ms)

    def joined(self, group_id: str, member_id: str) -> None:
        self._cancel(JOIN, group_id, member_id)

    def expect_sync(self, group_id: str, member_id: str, timeout_ms: int) -> None:
        self._schedule(SYNC, group_id, member_id, timeout_ms)

    def synced(self, group_id: str, member_id: str) -> None:
        self._cancel(SYNC, group_id, member_id)

    def forget(self, group_id: str, member_id: str) -> None:
        for name in MEMBER_TIMERS:
            self._cancel(name, group_id, member_id)

    def rebalance_epoch(self, group_id: str, member_id: str) -> int | None:
        """Of a rebalance timer that has come."""
        return self._rebalance_epochs.pop((group_id, member_id), None)

    def _schedule(self, name: str, group_id: str, member_id: str, timeout_ms: int) -> None:
        self._timers.schedule((name, group_id, member_id), self._clock.monotonic() + timeout_ms / 1000)

    def _cancel(self, name: str, group_id: str, member_id: str) -> None:
        self._timers.cancel((name, group_id, member_id))
        if name == REBALANCE:
            self._rebalance_epochs.pop((group_id, member_id), None)
