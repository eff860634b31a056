"""Who learns of a new image, and in which order (MetadataPublisher, BrokerMetadataPublisher)."""

from collections import deque
from collections.abc import Callable, Iterator
from logging import getLogger
from typing import Protocol

from pykbroker import verify
from pykbroker.metadata.delta import MetadataDelta, full_delta
from pykbroker.metadata.image import MetadataImage

logger = getLogger(__name__)


class Subscriber(Protocol):
    """A part of the broker that follows the metadata."""

    def on_metadata_update(self, delta: MetadataDelta, image: MetadataImage) -> Iterator[None] | None:
        """`delta.base` is the image before, `image` the one after.

        What may take long is returned as an iterator, one piece of work a step: others run between the steps, but no
        other part of the broker is told before the last one. An exception is logged, and the others are told.
        """


class MetadataPublisher:
    """Holds the broker's current image and tells the subscribers, in the order in which they were added.

    broker.py adds: dynamic config, replicas, coordinators. An image is set before the first of them is told, so that
    all see the same; the next one when all have been told. `drive` is called when there are steps to take: by default
    it takes them all; a PublisherLoop gives way to others. `applied`: the image that all know.
    """

    __slots__ = (
        "_image",
        "_is_closed",
        "_is_stepping",
        "_steps",
        "_subscribers",
        "_waiting",
        "applied",
        "drive",
        "newest",
    )

    def __init__(self, cluster_id: str) -> None:
        # What was published last, which the subscribers may not have heard of.
        self.newest = MetadataImage.empty(cluster_id)
        self.applied = self.newest
        self.drive: Callable[[], None] = self.settle
        self._image = self.newest
        self._subscribers: list[Subscriber] = []
        self._waiting: deque[Iterator[None]] = deque()
        self._steps: Iterator[None] | None = None
        self._is_stepping = False
        self._is_closed = False

    @property
    def image(self) -> MetadataImage:
        """The one that the subscribers are told of, or were told of last (MetadataCache)."""
        return self._image

    def subscribe(self, subscriber: Subscriber) -> None:
        """Told of the present image, as a delta from the empty one, and of every later image. At once, unless others
        are being told."""
        self._add(self._join(subscriber))

    def publish(self, delta: MetadataDelta, image: MetadataImage) -> None:
        """`delta` leads from the image published last to `image`."""
        self.newest = image
        if self._is_closed:
            self._image = image
            return
        self._add(self._deliver(delta, image))

    def close(self) -> None:
        """Nobody is told any more: a broker that stops must not begin to lead or to follow anything."""
        self._is_closed = True
        self._image = self.newest
        self._waiting.clear()
        self._steps = None

    # Telling

    @property
    def is_settled(self) -> bool:
        """Whether everybody knows the newest image."""
        return self._steps is None and not self._waiting

    def settle(self) -> None:
        """Takes all steps."""
        while self.step():
            pass

    def step(self) -> bool:
        """One piece of work; False: there was nothing to do."""
        if self._steps is None:
            if not self._waiting:
                return False
            self._steps = self._waiting.popleft()
        steps = self._steps
        self._is_stepping = True
        try:
            next(steps)
        except StopIteration:
            if self._steps is steps:
                self._steps = None
        finally:
            self._is_stepping = False
        return True

    def _add(self, steps: Iterator[None]) -> None:
        """Its turn comes; who is told of an image may publish or add somebody."""
        self._waiting.append(steps)
        if not self._is_stepping:
            self.drive()

    def _deliver(self, delta: MetadataDelta, image: MetadataImage) -> Iterator[None]:
        self._image = image
        for subscriber in tuple(self._subscribers):
            yield from _tell(subscriber, delta, image)
        self.applied = image

    def _join(self, subscriber: Subscriber) -> Iterator[None]:
        self._subscribers.append(subscriber)
        if self._image.offset >= 0:
            yield from _tell(subscriber, full_delta(self._image), self._image)


def _tell(subscriber: Subscriber, delta: MetadataDelta, image: MetadataImage) -> Iterator[None]:
    """Kafka's broker goes on as well, for what it serves should not end with what it has not understood
    (metadataPublishingFaultHandler)."""
    try:
        steps = subscriber.on_metadata_update(delta, image)
        if steps is not None:
            yield from steps
    except Exception:  # of whatever part: it is our bug, and the log has the traceback
        verify.report_unforeseen(logger, "%r has not taken over the metadata up to %d", subscriber, image.offset)
    yield
