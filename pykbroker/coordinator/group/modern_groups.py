"""Consumer, share and streams groups of one shard. What decides about a kind is loaded when the first of it appears:
a broker with classic groups alone starts its first group sooner, and is smaller.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pykbroker.coordinator.shard import CoordinatorRecord, Outcome

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.coordinator.group.classic import ClassicGroups
    from pykbroker.coordinator.group.consumer import ConsumerGroups
    from pykbroker.coordinator.group.group_replay import GroupReplay
    from pykbroker.coordinator.group.groups import Groups
    from pykbroker.coordinator.group.share import ShareGroups
    from pykbroker.coordinator.group.streams import StreamsGroups
    from pykbroker.coordinator.timeline import Timeline
    from pykbroker.coordinator.timers import Timers
    from pykbroker.ids import Uuid
    from pykbroker.metadata.image import MetadataImage


class ModernGroups:
    """A kind whose groups are in the shard has been loaded: they come by heartbeats and records, which load it."""

    __slots__ = (
        "_classic",
        "_clock",
        "_config",
        "_consumers",
        "_current",
        "_groups",
        "_image",
        "_replays",
        "_shares",
        "_streams",
        "_timeline",
        "_timers",
    )

    def __init__(
        self,
        config: "BrokerConfig",
        current: "Callable[[], BrokerConfig] | None",
        clock: "Clock",
        timers: "Timers",
        timeline: "Timeline",
        groups: "Groups",
        image: "Callable[[], MetadataImage]",
        classic: "ClassicGroups",
    ) -> None:
        """`config`: as the broker was started; `current`: with its dynamic configs."""
        self._config = config
        self._current = current
        self._clock = clock
        self._timers = timers
        self._timeline = timeline
        self._groups = groups
        self._image = image
        self._classic = classic
        self._consumers: ConsumerGroups | None = None
        self._shares: ShareGroups | None = None
        self._streams: StreamsGroups | None = None
        self._replays: dict[str, GroupReplay[Any]] = {}  # by what the names of a kind's records begin with

    @property
    def consumers(self) -> "ConsumerGroups":
        return self._consumers or self._load_consumers()

    @property
    def shares(self) -> "ShareGroups":
        return self._shares or self._load_shares()

    @property
    def streams(self) -> "StreamsGroups":
        return self._streams or self._load_streams()

    def _load_consumers(self) -> "ConsumerGroups":
        from pykbroker.coordinator.group.consumer import ConsumerGroups
        from pykbroker.coordinator.group.consumer_classic import ClassicSide
        from pykbroker.coordinator.group.consumer_migration import Migration
        from pykbroker.coordinator.group.consumer_replay import CONSUMER_REPLAY
        from pykbroker.coordinator.group.consumer_settings import ConsumerSettings

        settings = ConsumerSettings(self._config, self._image, self._current)
        consumers = self._consumers = ConsumerGroups(settings, self._clock, self._timers, self._groups, self._image)
        consumers.migration = Migration(consumers, self._classic.rebalancer)
        self._classic.consumer_side = ClassicSide(consumers)
        self._replays[CONSUMER_REPLAY.prefix] = CONSUMER_REPLAY
        return consumers

    def _load_shares(self) -> "ShareGroups":
        from pykbroker.coordinator.group.share import ShareGroups
        from pykbroker.coordinator.group.share_replay import share_replay
        from pykbroker.coordinator.group.share_settings import ShareSettings

        settings = ShareSettings(self._config, self._image, self._current)
        shares = self._shares = ShareGroups(settings, self._clock, self._timers, self._groups, self._image)
        replay = share_replay(self._clock)
        self._replays[replay.prefix] = replay
        return shares

    def _load_streams(self) -> "StreamsGroups":
        from pykbroker.coordinator.group.streams import StreamsGroups
        from pykbroker.coordinator.group.streams_replay import STREAMS_REPLAY
        from pykbroker.coordinator.group.streams_settings import StreamsSettings

        settings = StreamsSettings(self._config, self._image, self._current)
        streams = self._streams = StreamsGroups(settings, self._clock, self._timers, self._groups, self._image)
        self._replays[STREAMS_REPLAY.prefix] = STREAMS_REPLAY
        return streams

    # -- records

    def replay(self, record: CoordinatorRecord) -> None:
        """Of these groups; others are passed over."""
        replay = self._replay_of(type(record.key).__name__)
        if replay is not None:
            replay.replay(self._groups, self._timeline, record)

    def _replay_of(self, name: str) -> "GroupReplay[Any] | None":
        for prefix, replay in self._replays.items():
            if name.startswith(prefix):
                return replay
        for prefix, load in (
            ("ConsumerGroup", self._load_consumers),
            ("ShareGroup", self._load_shares),
            ("StreamsGroup", self._load_streams),
        ):
            if name.startswith(prefix):
                load()
                return self._replays[prefix]
        return None

    # -- life

    def on_loaded(self) -> None:
        for kind in (self._consumers, self._shares, self._streams):
            if kind is not None:
                kind.on_loaded()

    def on_deadline(self, key: tuple[str, ...], out: Outcome[Any]) -> bool:
        """False: it is not a timer of these groups."""
        for kind in (self._consumers, self._shares, self._streams):
            if kind is not None and key[0] in kind.TIMERS:
                kind.on_deadline(key, out)
                return True
        return False

    def topics_deleted(self, topic_ids: "Iterable[Uuid]") -> list[CoordinatorRecord]:
        """Share groups forget them."""
        return [] if self._shares is None else self._shares.initialization.topics_deleted(topic_ids)
