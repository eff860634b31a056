"""The client's side of an incremental fetch session: what changed since the last request.
(FetchSessionHandler, KIP-227)
"""

from collections.abc import Callable, Iterable
from logging import getLogger
from typing import NamedTuple

from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.follower import Wanted

logger = getLogger(__name__)
NO_SESSION = 0
INITIAL_EPOCH = 0
_INT32_MAX = 0x7FFFFFFF

Key = tuple[Uuid, int]


class FetchPlan(NamedTuple):
    """What a request names. `is_empty`: nothing is in the session, nothing leaves it: there is nothing to ask."""

    session_id: int
    session_epoch: int
    to_send: dict[Key, Wanted]
    to_forget: list[Key]
    is_empty: bool


class FetchSessionHandler:
    """`partitions`: what the leader was told last; what is to be fetched in the answer to come."""

    def __init__(self) -> None:
        self.session_id = NO_SESSION
        self.epoch = INITIAL_EPOCH
        self.partitions: dict[Key, Wanted] = {}

    @property
    def is_full(self) -> bool:
        """The next request names every partition, and asks for a session; that of session_id is closed."""
        return self.epoch == INITIAL_EPOCH

    def plan(self, everything: Iterable[Key], changed: set[Key], wanted: Callable[[Key], Wanted | None]) -> FetchPlan:
        """`changed`: those of which wanted() may say something else than before; None: not to be fetched now."""
        if self.is_full:
            found = ((key, wanted(key)) for key in everything)
            self.partitions = {key: one for key, one in found if one is not None}
            return self._plan(dict(self.partitions), [])
        altered: dict[Key, Wanted] = {}
        removed: list[Key] = []
        for key in self._in_order(changed):
            now = wanted(key)
            if now is None:
                del self.partitions[key]
                removed.append(key)
            elif now != self.partitions[key]:
                self.partitions[key] = altered[key] = now
        added: dict[Key, Wanted] = {}
        for key in everything if changed - self.partitions.keys() else ():
            if key in changed and key not in self.partitions:
                one = wanted(key)
                if one is not None:
                    added[key] = one
        self.partitions.update(added)
        return self._plan({**added, **altered}, removed)

    def _in_order(self, changed: set[Key]) -> list[Key]:
        """Those in the session."""
        if len(changed) > 1:
            return [key for key in self.partitions if key in changed]
        return [key for key in changed if key in self.partitions]

    def _plan(self, to_send: dict[Key, Wanted], to_forget: list[Key]) -> FetchPlan:
        return FetchPlan(self.session_id, self.epoch, to_send, to_forget, not self.partitions and not to_forget)

    def took(self, keys: set[Key], session_id: int, error_code: int) -> bool:
        """Whether the partitions in an answer may be used; says what the next request is."""
        if error_code:
            logger.info("A fetch in session %d was refused with error code %d", self.session_id, error_code)
            self.start_over(is_known=error_code != ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
            return False
        known = self.partitions.keys()
        extra, missing = keys - known, known - keys if self.is_full else set()
        if extra or missing:
            logger.info("A fetch was answered with %d partitions too many, %d too few", len(extra), len(missing))
            self.start_over(is_known=not self.is_full)
            return False
        if session_id == NO_SESSION:
            self.start_over(is_known=False)
        elif self.is_full:
            self.session_id, self.epoch = session_id, 1
        else:
            self.epoch = 1 if self.epoch == _INT32_MAX else self.epoch + 1
        return True

    def start_over(self, *, is_known: bool) -> None:
        """The next request is a full one; it closes the session before, if the leader may know of it."""
        self.epoch = INITIAL_EPOCH
        if not is_known:
            self.session_id = NO_SESSION
