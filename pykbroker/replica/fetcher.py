"""All partitions that one fetcher follows at one leader: what to ask next, and what to make of the answer. Sans-I/O.

One request is under way at a time. Kafka: AbstractFetcherThread, ReplicaFetcherThread, RemoteLeaderEndPoint.
"""

from collections.abc import Callable, Iterable
from logging import INFO, WARNING, getLogger
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pykbroker.clock import Clock
from pykbroker.metadata.features import fetch_request_version, list_offsets_request_version
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
    PartitionData,
    ReplicaState,
)
from pykbroker.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from pykbroker.replica.fetch_session_handler import FetchPlan, FetchSessionHandler, Key
from pykbroker.replica.follower import Follower, Outcome, Truncation, Wanted

if TYPE_CHECKING:
    from pykbroker.ids import Uuid
    from pykbroker.protocol.message import Message
    from pykbroker.replica.partition import Partition

logger = getLogger(__name__)
REPLICA_STATE_FROM = 15
# Of many partitions, so many in a line of the log.
NAMED = 5
_LOST_SESSION = (ErrorCode.FETCH_SESSION_ID_NOT_FOUND, ErrorCode.INVALID_FETCH_SESSION_EPOCH)


class FetcherSettings(NamedTuple):
    """replica.fetch.*, replica.socket.timeout.ms. Times in seconds, sizes in bytes."""

    wait_max_ms: int = 500
    min_bytes: int = 1
    response_max_bytes: int = 10485760
    max_bytes: int = 1048576
    backoff: float = 1.0
    timeout: float = 30.0


class Throttle(Protocol):
    """How fast followers may fetch (ReplicaQuota)."""

    def is_throttled(self, partition: "Partition") -> bool:
        """Whether it is one of those that the limit is for."""

    def is_exceeded(self) -> bool: ...
    def record(self, count: int) -> None:
        """So many bytes came."""


class Environment(Protocol):
    """What all fetchers of a broker share."""

    @property
    def node_id(self) -> int: ...
    @property
    def broker_epoch(self) -> int: ...
    @property
    def metadata_version(self) -> int: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def settings(self) -> FetcherSettings: ...
    @property
    def truncation(self) -> Truncation: ...
    @property
    def follower_throttle(self) -> Throttle: ...


class Asked(NamedTuple):
    """A request to the leader. `timeout` in seconds."""

    api_key: int
    version: int
    request: "Message"
    timeout: float


class Fetcher:
    """`on_work` is called when there may be something to ask; `on_failed` with a partition that it has given up."""

    def __init__(self, leader_id: int, fetcher_id: int, environment: Environment) -> None:
        self.leader_id = leader_id
        self.fetcher_id = fetcher_id
        self.on_work: Callable[[], None] = _nobody
        self.on_failed: Callable[[Partition], None] = _ignore
        # Nothing is left to follow, or the leader is reached elsewhere: its loop ends.
        self.is_closed = False
        self.followers: dict[Key, Follower] = {}
        self.session = FetchSessionHandler()
        self._environment = environment
        # Those of which something may have changed since the last request; those that wait for a time.
        self._changed: set[Key] = set()
        self._delayed: set[Key] = set()
        self._looking_up: dict[Key, int] = {}
        # In the answer at hand, by how they ended.
        self._given_up: dict[Outcome, list[str]] = {}
        self._is_busy = False
        # The last request got no answer: said once.
        self._is_cut_off = False
        # By the throttle: time alone changes that.
        self._is_held_back = False

    def __repr__(self) -> str:
        return f"<Fetcher {self.fetcher_id} of leader {self.leader_id}>"

    # Which partitions

    def add(self, partition: "Partition") -> None:
        """From now on, or anew because its leader epoch changed. Raises KafkaError when it cannot be cut back."""
        key = key_of(partition)
        self.remove([key])
        self.followers[key] = Follower(partition, self._environment.truncation)
        self._changed.add(key)
        self.on_work()

    def remove(self, keys: Iterable[Key]) -> None:
        for key in keys:
            if self.followers.pop(key, None) is not None:
                self._changed.add(key)
                self._delayed.discard(key)

    def close(self) -> None:
        self.is_closed = True
        self.remove(list(self.followers))
        self.on_work()

    # Asking

    def next_time(self, now: float) -> float:
        """When next_request() may have one, monotonic seconds; inf as long as nothing changes."""
        if self._is_busy or self.is_closed or not self.followers:
            return inf
        throttled = now + self._environment.settings.backoff if self._is_held_back else inf
        return min((self.followers[key].delayed_until for key in self._delayed), default=throttled)

    def next_request(self, now: float) -> Asked | None:
        """To be answered by on_response() or on_failure() before there is another."""
        if self._is_busy or self.is_closed:
            return None
        for key in [key for key in self._delayed if self.followers[key].delayed_until <= now]:
            self._delayed.discard(key)
            self._changed.add(key)
        asked = self._lookup_request(now) or self._fetch_request(now)
        self._is_busy = asked is not None
        return asked

    def _fetch_request(self, now: float) -> Asked | None:
        settings = self._environment.settings
        throttle = self._environment.follower_throttle
        is_exceeded = throttle.is_exceeded()
        if is_exceeded:
            self._changed.update(key for key, one in self.followers.items() if throttle.is_throttled(one.partition))

        def wanted(key: Key) -> Wanted | None:
            follower = self.followers.get(key)
            if follower is None or not follower.is_ready(now):
                return None
            if is_exceeded and not follower.is_in_sync and throttle.is_throttled(follower.partition):
                held_back.add(key)
                return None
            return follower.wanted(settings.max_bytes)

        held_back: set[Key] = set()
        plan = self.session.plan(self.followers, self._changed, wanted)
        self._changed = held_back
        self._is_held_back = bool(held_back)
        if plan.is_empty:
            return None
        version = fetch_request_version(self._environment.metadata_version)
        return Asked(ApiKey.FETCH, version, self._fetch_message(plan, version), settings.timeout)

    def _fetch_message(self, plan: FetchPlan, version: int) -> FetchRequest:
        environment, settings = self._environment, self._environment.settings
        has_state = version >= REPLICA_STATE_FROM
        topics: list[FetchTopic] = []
        for (topic_id, index), one in plan.to_send.items():
            if not topics or topics[-1].topic_id != topic_id:
                topics.append(FetchTopic(topic_id=topic_id))
            topics[-1].partitions.append(
                FetchPartition(
                    partition=index,
                    current_leader_epoch=one.current_leader_epoch,
                    fetch_offset=one.fetch_offset,
                    last_fetched_epoch=one.last_fetched_epoch,
                    log_start_offset=one.log_start_offset,
                    partition_max_bytes=one.max_bytes,
                )
            )
        forgotten: dict[Uuid, list[int]] = {}
        for topic_id, index in plan.to_forget:
            forgotten.setdefault(topic_id, []).append(index)
        return FetchRequest(
            replica_id=-1 if has_state else environment.node_id,
            replica_state=ReplicaState(environment.node_id, environment.broker_epoch) if has_state else ReplicaState(),
            max_wait_ms=settings.wait_max_ms,
            min_bytes=settings.min_bytes,
            max_bytes=settings.response_max_bytes,
            session_id=plan.session_id,
            session_epoch=plan.session_epoch,
            topics=topics,
            forgotten_topics_data=[
                ForgottenTopic(topic_id=topic_id, partitions=indexes) for topic_id, indexes in forgotten.items()
            ],
        )

    def _lookup_request(self, now: float) -> Asked | None:
        """Where the leader's logs begin or end, of those whose offset it does not have."""
        self._looking_up = {
            key: one.lookup
            for key, one in self.followers.items()
            if one.lookup is not None and one.delayed_until <= now
        }
        if not self._looking_up:
            return None
        topics: dict[str, list[ListOffsetsPartition]] = {}
        for key, timestamp in self._looking_up.items():
            follower = self.followers[key]
            topics.setdefault(follower.partition.topic_partition.topic, []).append(
                ListOffsetsPartition(
                    partition_index=key[1], current_leader_epoch=follower.leader_epoch, timestamp=timestamp
                )
            )
        version = list_offsets_request_version(self._environment.metadata_version)
        request = ListOffsetsRequest(
            replica_id=self._environment.node_id,
            topics=[ListOffsetsTopic(name=name, partitions=partitions) for name, partitions in topics.items()],
        )
        return Asked(ApiKey.LIST_OFFSETS, version, request, self._environment.settings.timeout)

    # Answers

    def on_failure(self, reason: object, now: float) -> None:
        """No answer came: all partitions wait a while, and the session may be lost (handleError)."""
        self._is_busy = False
        if not self._is_cut_off and not self.is_closed:
            logger.info("%r: no answer to a fetch, it is asked until there is one: %s", self, reason)
        self._is_cut_off = True
        self.session.start_over(is_known=True)
        for key in self.followers:
            self._delay(key, now)

    def on_response(self, response: "Message", now: float) -> None:
        self._is_busy = self._is_cut_off = False
        if isinstance(response, FetchResponse):
            self._on_fetched(response, now)
        elif isinstance(response, ListOffsetsResponse):
            self._on_looked_up(response, now)

    def _on_fetched(self, response: FetchResponse, now: float) -> None:
        rows = {(topic.topic_id, row.partition_index): row for topic in response.responses for row in topic.partitions}
        may_be_lost = not self.session.is_full and response.error_code in _LOST_SESSION
        if not self.session.took(set(rows), response.session_id, response.error_code):
            if response.error_code and not may_be_lost:
                self._pause_after_refusal(now)
            return
        now_ms = self._environment.clock.wall_ms()
        with self._environment.truncation.truncations():  # each has one row: it is cut, or there are records for it
            for key, row in rows.items():
                follower, sent = self.followers.get(key), self.session.partitions[key]
                if follower is None or not follower.is_ready(now) or not is_answer_to(sent, follower):
                    continue  # added anew or cut back since
                self._take(key, follower, row, now, now_ms)
        self._report_given_up()

    def _pause_after_refusal(self, now: float) -> None:
        """A lost session is over with the next request; whatever else it is shall not be asked all the time."""
        for key in self.followers:
            self._delay(key, now)

    def _take(self, key: Key, follower: Follower, row: PartitionData, now: float, now_ms: int) -> None:
        size = len(row.records or b"")
        self._settle(key, follower, follower.take(row, now_ms), now)
        throttle = self._environment.follower_throttle
        if size and throttle.is_throttled(follower.partition):
            throttle.record(size)

    def _on_looked_up(self, response: ListOffsetsResponse, now: float) -> None:
        rows = {(topic.name, row.partition_index): row for topic in response.topics for row in topic.partitions}
        with self._environment.truncation.truncations():
            for key, timestamp in self._looking_up.items():
                follower = self.followers.get(key)
                if follower is None or follower.lookup != timestamp:
                    continue
                row = rows.get((follower.partition.topic_partition.topic, key[1]))
                if row is None:
                    self._delay(key, now)
                else:
                    self._settle(key, follower, follower.looked_up(row.offset, row.error_code), now)
        self._report_given_up()

    def _settle(self, key: Key, follower: Follower, outcome: Outcome, now: float) -> None:
        self._changed.add(key)
        if outcome is Outcome.RETRIED:
            self._delay(key, now)
        elif outcome is not Outcome.GOES_ON:
            self._given_up.setdefault(outcome, []).append(follower.name)
            self.remove([key])
            self.on_failed(follower.partition)

    def _report_given_up(self) -> None:
        """In one line: when a broker stops, all that it led has another leader epoch."""
        given_up, self._given_up = self._given_up, {}
        for outcome, names in given_up.items():
            level, why = (WARNING, "") if outcome is Outcome.FAILED else (INFO, ", of which the metadata will tell")
            rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            listed = ", ".join(names[:NAMED]) + rest
            logger.log(level, "%r: %s: not followed until there is another leader epoch%s", self, listed, why)

    def _delay(self, key: Key, now: float) -> None:
        self.followers[key].delayed_until = now + self._environment.settings.backoff
        self._delayed.add(key)
        self._changed.add(key)


def key_of(partition: "Partition") -> Key:
    return partition.topic_id, partition.topic_partition.partition


def is_answer_to(sent: Wanted, follower: Follower) -> bool:
    return sent.fetch_offset == follower.fetch_offset and sent.current_leader_epoch == follower.leader_epoch


def _nobody() -> None:
    return


def _ignore(_: object) -> None:
    return
