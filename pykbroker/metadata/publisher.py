"""Who learns of a new image, and in which order (MetadataPublisher, BrokerMetadataPublisher)."""

from typing import Protocol

from pykbroker.metadata.delta import MetadataDelta, full_delta
from pykbroker.metadata.image import MetadataImage


class Subscriber(Protocol):
    """A part of the broker that follows the metadata."""

    def on_metadata_update(self, delta: MetadataDelta, image: MetadataImage) -> None:
        """`delta.base` is the image before, `image` the one after. Synchronous; an exception stops the node."""


class MetadataPublisher:
    """Holds the broker's current image and tells the subscribers, in the order in which they were added.

    broker.py adds: replicas, coordinators, dynamic config. The image is set before the first of them is told, so that
    all see the same.
    """

    __slots__ = ("_image", "_is_closed", "_subscribers")

    def __init__(self, cluster_id: str) -> None:
        self._image = MetadataImage.empty(cluster_id)
        self._subscribers: list[Subscriber] = []
        self._is_closed = False

    @property
    def image(self) -> MetadataImage:
        return self._image

    def subscribe(self, subscriber: Subscriber) -> None:
        """Told of the present image at once, as a delta from the empty one, and of every later image."""
        self._subscribers.append(subscriber)
        if self._image.offset >= 0:
            subscriber.on_metadata_update(full_delta(self._image), self._image)

    def publish(self, delta: MetadataDelta, image: MetadataImage) -> None:
        """`delta` leads from the image published last to `image`."""
        self._image = image
        if self._is_closed:
            return
        for subscriber in tuple(self._subscribers):  # one who is told may add one, who is then told by subscribe()
            subscriber.on_metadata_update(delta, image)

    def close(self) -> None:
        """Nobody is told any more: a broker that stops must not begin to lead or to follow anything."""
        self._is_closed = True
