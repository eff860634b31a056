"""What a leader knows of one follower: how far it has fetched, and when it had everything. (Replica, ReplicaState)

Seconds of the monotonic clock, offsets -1 as long as nothing is known.
"""

from math import inf

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

UNKNOWN = -1
# A fetch without a broker epoch (before KIP-903) passes every check of one.
NO_BROKER_EPOCH = -1


class FollowerProgress:
    """`last_caught_up`: the largest time at which its log reached the leader's end. `broker_epoch` None: it has not
    fetched since this broker leads."""

    __slots__ = (
        "broker_epoch",
        "id",
        "last_caught_up",
        "last_fetch",
        "last_fetch_leader_end",
        "log_end_offset",
        "log_start_offset",
    )

    def __init__(self, follower_id: int) -> None:
        self.id = follower_id
        self.log_start_offset = UNKNOWN
        self.log_end_offset = UNKNOWN
        # Where the leader's log ended at the last fetch.
        self.last_fetch_leader_end = 0
        self.last_fetch = -inf
        self.last_caught_up = -inf
        self.broker_epoch: int | None = None

    def fetched(
        self,
        offset: int,
        log_start_offset: int,
        leader_end: int,
        broker_epoch: int,
        registered_epoch: int | None,
        now: float,
    ) -> None:
        """Notes a fetch from `offset`, which is the follower's log end. `registered_epoch`: of the broker as it is
        alive now. Raises NOT_LEADER_OR_FOLLOWER for a fetch of an earlier life of it (KIP-903)."""
        if broker_epoch != NO_BROKER_EPOCH and registered_epoch is not None and registered_epoch > broker_epoch:
            raise KafkaError(
                ErrorCode.NOT_LEADER_OR_FOLLOWER,
                f"Received a stale fetch of broker {self.id}: its broker epoch is {registered_epoch}, not "
                f"{broker_epoch}",
            )
        if offset >= leader_end:
            self.last_caught_up = max(self.last_caught_up, now)
        elif offset >= self.last_fetch_leader_end:
            # It has all that there was at its last fetch: under a steady load no fetch ever reaches the end.
            self.last_caught_up = max(self.last_caught_up, self.last_fetch)
        self.log_start_offset = log_start_offset
        self.log_end_offset = offset
        self.last_fetch_leader_end = max(self.last_fetch_leader_end, leader_end)
        self.last_fetch = now
        self.broker_epoch = broker_epoch

    def reset(self, leader_end: int, now: float, *, is_new_leader: bool, is_in_sync: bool) -> None:
        """A leader epoch begins. Who is in sync gets time to fetch; who is not, holds nothing up."""
        self.last_caught_up = now if is_in_sync else -inf
        if is_new_leader:
            self.log_start_offset = self.log_end_offset = self.last_fetch_leader_end = UNKNOWN
            self.last_fetch = -inf
            self.broker_epoch = None
        else:
            self.last_fetch_leader_end = leader_end
            self.last_fetch = now if is_in_sync else -inf

    def is_caught_up(self, leader_end: int, now: float, max_lag: float) -> bool:
        """`max_lag` in seconds (replica.lag.time.max.ms)."""
        return self.log_end_offset == leader_end or now - self.last_caught_up <= max_lag
