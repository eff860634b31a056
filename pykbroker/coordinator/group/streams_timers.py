"""Deadlines of streams groups and their members: sessions, rebalances, the wait for the first assignment.

Kafka: GroupMetadataManager.scheduleStreamsGroup…Timeout, streamsInitialRebalanceKey.
"""

from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.group.streams_member import MemberState, StreamsMember

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.timers import Timers

SESSION: Final = "streams session"
REBALANCE: Final = "streams rebalance"
INITIAL: Final = "streams initial rebalance"
STREAMS_TIMERS: Final = frozenset((SESSION, REBALANCE, INITIAL))


class StreamsTimers:
    """Remembers for which epoch a rebalance timer was set: in another one it means nothing."""

    __slots__ = ("_clock", "_rebalance_epochs", "_timers")

    def __init__(self, clock: "Clock", timers: "Timers") -> None:
        self._clock = clock
        self._timers = timers
        self._rebalance_epochs: dict[tuple[str, str], int] = {}

    def restart_session(self, group_id: str, member_id: str, timeout_ms: int) -> None:
        self._schedule((SESSION, group_id, member_id), timeout_ms)

    def after_step(self, group_id: str, member: StreamsMember) -> None:
        """Who must give something back has its rebalance timeout for it."""
        key = (REBALANCE, group_id, member.member_id)
        if member.state == MemberState.UNREVOKED_TASKS:
            self._rebalance_epochs[key[1:]] = member.epoch
            self._schedule(key, member.rebalance_timeout_ms)
        else:
            self._timers.cancel(key)
            self._rebalance_epochs.pop(key[1:], None)

    def rebalance_epoch(self, group_id: str, member_id: str) -> int | None:
        """Of a rebalance timer that has come."""
        return self._rebalance_epochs.pop((group_id, member_id), None)

    def await_members(self, group_id: str, delay_ms: int) -> None:
        """The first assignment waits for more members; later ones do not make it wait longer."""
        if not self.is_waiting(group_id):
            self._schedule((INITIAL, group_id), delay_ms)

    def is_waiting(self, group_id: str) -> bool:
        return self._timers.deadline((INITIAL, group_id)) is not None

    def forget(self, group_id: str, member_id: str) -> None:
        self._timers.cancel((SESSION, group_id, member_id))
        self._timers.cancel((REBALANCE, group_id, member_id))
        self._rebalance_epochs.pop((group_id, member_id), None)

    def forget_group(self, group_id: str) -> None:
        self._timers.cancel((INITIAL, group_id))

    def _schedule(self, key: tuple[str, ...], timeout_ms: int) -> None:
        self._timers.schedule(key, self._clock.monotonic() + timeout_ms / 1000)
