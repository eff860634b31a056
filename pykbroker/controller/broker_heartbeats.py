"""Who was heard when: sessions of brokers with the controller. Soft state, not in the log (BrokerHeartbeatManager)."""

from collections.abc import Iterable


class _Session:
    __slots__ = ("deadline", "epoch", "metadata_offset", "shutdown_offset")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.deadline = 0.0
        self.metadata_offset = -1
        self.shutdown_offset = -1


class BrokerHeartbeats:
    """Sessions last `session_timeout` seconds from the last heartbeat; times are clock.monotonic seconds."""

    def __init__(self, session_timeout: float) -> None:
        self._session_timeout = session_timeout
        self._sessions: dict[int, _Session] = {}

    def touch(self, broker_id: int, epoch: int, metadata_offset: int, now: float) -> None:
        """A heartbeat came."""
        session = self._sessions.get(broker_id)
        if session is None or session.epoch != epoch:
            session = self._sessions[broker_id] = _Session(epoch)
        session.deadline = now + self._session_timeout
        session.metadata_offset = metadata_offset

    def adopt(self, broker_id: int, epoch: int, now: float) -> None:
        """A broker that was unfenced when this controller took over gets one session to be heard in."""
        self.touch(broker_id, epoch, -1, now)

    def remove(self, broker_id: int) -> None:
        """The session ends at once: an orderly release, or a new incarnation."""
        self._sessions.pop(broker_id, None)

    def has_valid_session(self, broker_id: int, epoch: int, now: float) -> bool:
        session = self._sessions.get(broker_id)
        return session is not None and session.epoch == epoch and now < session.deadline

    def expired(self, unfenced: Iterable[int], now: float) -> list[int]:
        """The brokers among `unfenced` whose session is over."""
        return [b for b in unfenced if (session := self._sessions.get(b)) is None or session.deadline <= now]

    def next_deadline(self, unfenced: Iterable[int]) -> float:
        """When the first session of an unfenced broker ends; infinity without any."""
        deadlines = [session.deadline for b in unfenced if (session := self._sessions.get(b)) is not None]
        return min(deadlines, default=float("inf"))

    def begin_shutdown(self, broker_id: int, offset: int) -> None:
        """`offset`: of the last record that moves its leaderships; the others must know it before the broker may go."""
        session = self._sessions.get(broker_id)
        if session is not None:
            session.shutdown_offset = offset

    def may_shut_down(self, broker_id: int, active: Iterable[int]) -> bool:
        """Whether all `active` brokers know that this one no longer leads anything."""
        session = self._sessions.get(broker_id)
        offset = session.shutdown_offset if session is not None else -1
        others = [other for b in active if b != broker_id and (other := self._sessions.get(b)) is not None]
        return all(offset <= other.metadata_offset for other in others)
