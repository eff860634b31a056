"""Regular expressions that members subscribe to: checked at once, resolved to topics a little later, kept as records.

All patterns of a group are resolved together, so that one rebalance comes of it, and at most every ten seconds; in
slices, as there may be many topics. With an authorizer Kafka leaves out what the member may not describe; we refuse to
start with one. Kafka: maybeUpdateRegularExpressions, TopicRegexResolver.
"""

from collections.abc import Callable, Iterator
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pykbroker.coordinator.group.consumer_group import ConsumerGroup, ResolvedPattern
from pykbroker.coordinator.group.consumer_member import ConsumerMember
from pykbroker.coordinator.group.consumer_records import group_epoch_record, pattern_record, pattern_tombstone
from pykbroker.coordinator.safe_regex import InvalidPattern, compile_pattern
from pykbroker.coordinator.shard import Outcome
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.group.consumer_settings import ConsumerSettings
    from pykbroker.coordinator.group.groups import Groups
    from pykbroker.coordinator.group.metadata_hash import MetadataHasher
    from pykbroker.coordinator.timers import Timers
    from pykbroker.metadata.image import MetadataImage

PATTERNS: Final = "consumer patterns"
_MIN_INTERVAL_MS: Final = 10_000
# Matches in one go, seconds that it may take, and seconds until the next one.
_SLICE: Final = 1000
_BUDGET: Final = 0.003
_PAUSE: Final = 0.002


class Change(Enum):
    """What became of a member's pattern."""

    NONE = 0
    UPDATED = 1
    RESOLVED = 2  # and what it matches is known already


class _Resolution:
    """Patterns on their way to topics."""

    def __init__(self, image: "MetadataImage", regexes: list[str], started_ms: int) -> None:
        self.version = image.offset
        self.started_ms = started_ms
        self.found: dict[str, set[str]] = {regex: set() for regex in regexes}
        self._work = self._match(image.topics.names())

    def step(self, clock: "Clock") -> bool:
        """Matches for a few milliseconds. False: all is done."""
        ends = clock.monotonic() + _BUDGET
        for _ in islice(self._work, _SLICE):
            if clock.monotonic() > ends:
                return True
        # Whether more is left shows when it is asked for.
        return next(self._work, None) is not None

    def _match(self, names: list[str]) -> Iterator[bool]:
        """One match at a time: there may be many names, many patterns, and dear ones."""
        for regex, topics in self.found.items():
            try:
                matches = compile_pattern(regex)
            except InvalidPattern:  # of a record that a real Kafka wrote, which knows more than we do
                continue
            for name in names:
                if matches(name):
                    topics.add(name)
                yield True


class Patterns:
    """The resolutions of one shard."""

    def __init__(
        self,
        clock: "Clock",
        timers: "Timers",
        groups: "Groups",
        image: "Callable[[], MetadataImage]",
        hasher: "MetadataHasher",
        settings: "ConsumerSettings",
    ) -> None:
        self._clock = clock
        self._timers = timers
        self._groups = groups
        self._image = image
        self._hasher = hasher
        self._settings = settings
        self._running: dict[str, _Resolution] = {}
        self._known: frozenset[Uuid] | None = None
        self._new_topics_at = -1  # the version of the metadata that last had new topics

    def update(self, group: ConsumerGroup, old: ConsumerMember, new: ConsumerMember, out: Outcome[Any]) -> Change:
        """Notes that a member has changed its pattern, and starts resolving if it is time.

        Raises KafkaError INVALID_REGULAR_EXPRESSION.
        """
        change, is_new = self._change(group, old, new, out)
        if is_new or group.regex_counts:
            self._maybe_resolve(group, old, new, is_new)
        return change

    def _change(
        self, group: ConsumerGroup, old: ConsumerMember, new: ConsumerMember, out: Outcome[Any]
    ) -> tuple[Change, bool]:
        """And whether the group has not had this pattern before."""
        if old.regex == new.regex:
            return Change.NONE, False
        if old.regex and group.regex_counts.get(old.regex) == 1:
            out.records.append(pattern_tombstone(group.group_id, old.regex))
        if not new.regex:
            return Change.RESOLVED, False
        if new.regex not in group.regex_counts:
            _check(new.regex)
            return Change.UPDATED, True
        return (Change.RESOLVED if new.regex in group.patterns else Change.UPDATED), False

    def _maybe_resolve(self, group: ConsumerGroup, old: ConsumerMember, new: ConsumerMember, is_new: bool) -> None:
        if group.group_id in self._running:
            return
        now_ms = self._clock.wall_ms()
        last = next((pattern for _, pattern in group.patterns.items()), None)
        if last is not None and now_ms <= last.timestamp + _MIN_INTERVAL_MS:
            return
        regexes = _regexes(group, old, new)
        due = (
            is_new
            or len(regexes) != len(group.patterns)
            or (last.version if last is not None else 0) < self._newest_topics()
            or (last is None or now_ms > last.timestamp + self._settings.regex_refresh_ms)
        )
        if due and regexes:
            self._running[group.group_id] = _Resolution(self._image(), regexes, now_ms)
            self._timers.schedule((PATTERNS, group.group_id), self._clock.monotonic())

    def _newest_topics(self) -> int:
        image = self._image()
        ids = frozenset(image.topics.ids)
        if self._known is None or not ids <= self._known:
            self._new_topics_at = image.offset
        self._known = ids
        return self._new_topics_at

    def on_deadline(self, group_id: str, out: Outcome[Any]) -> None:
        """The next slice; after the last one the result."""
        resolution = self._running.get(group_id)
        if resolution is None:
            return
        if resolution.step(self._clock):
            self._timers.schedule((PATTERNS, group_id), self._clock.monotonic() + _PAUSE)
            return
        del self._running[group_id]
        group = self._groups.get(group_id)
        if isinstance(group, ConsumerGroup):
            self._store(group, resolution, out)

    def _store(self, group: ConsumerGroup, resolution: _Resolution, out: Outcome[Any]) -> None:
        topics = {topic for _, member in group.members.items() for topic in member.topics}
        changed = False
        for regex, names in resolution.found.items():
            if regex not in group.regex_counts:
                continue
            pattern = ResolvedPattern(frozenset(names), resolution.version, resolution.started_ms)
            old = group.patterns.get(regex)
            changed = changed or (old.topics if old is not None else frozenset()) != pattern.topics
            topics |= pattern.topics
            out.records.append(pattern_record(group.group_id, regex, pattern))
        for regex, known in group.patterns.items():
            if regex not in resolution.found:
                topics |= known.topics
        metadata_hash = self._hasher.group_hash(topics)
        if changed or metadata_hash != group.epochs.metadata_hash:
            epoch = group.epochs.group + 1
            out.records.append(group_epoch_record(group.group_id, epoch, metadata_hash))
            group.refreshed_for = self._image().topics, epoch


def _regexes(group: ConsumerGroup, old: ConsumerMember, new: ConsumerMember) -> list[str]:
    """What the group subscribes to once the member has changed."""
    counts = dict(group.regex_counts)
    if old.regex in counts:
        counts[old.regex] -= 1
    if new.regex:
        counts[new.regex] = counts.get(new.regex, 0) + 1
    return [regex for regex, count in counts.items() if count > 0]


def _check(regex: str) -> None:
    try:
        compile_pattern(regex)
    except InvalidPattern as error:
        raise KafkaError(
            ErrorCode.INVALID_REGULAR_EXPRESSION,
            f"SubscribedTopicRegex `{regex}` is not a valid regular expression: {error}.",
        ) from error
