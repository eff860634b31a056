"""From committed batches of an observer's log to published images (MetadataLoader, MetadataBatchLoader; KIP-868)."""

from typing import TYPE_CHECKING

from pykbroker.metadata.delta import MetadataDelta, replacement_delta
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.raft.observer_log import ObserverLog

if TYPE_CHECKING:
    from pykbroker.raft.metadata_log import LoadedBatch


class MetadataLoader:
    """Records between Begin and EndTransaction are published together, and what came before them in one message too."""

    def __init__(self, log: ObserverLog, publisher: MetadataPublisher) -> None:
        self._log = log
        self._publisher = publisher
        self._delta: MetadataDelta | None = None  # not published yet: its transaction has not ended

    @property
    def is_current(self) -> bool:
        """Whether an image has been published that holds all that is committed, as far as the leader has said."""
        return self._publisher.newest.offset >= 0 and self._publisher.newest.offset + 1 >= self._log.committed_end

    def catch_up(self) -> bool:
        """Publishes what has become committed; whether there was something. Raises ReplayError, MalformedFrame,
        KafkaError, OSError: the node cannot go on."""
        last: LoadedBatch | None = None
        before = self._publisher.newest.offset
        for batch in self._log.committed():
            if batch.is_snapshot:
                self._replace(batch)
                continue
            if self._delta is None:
                self._delta = MetadataDelta(self._publisher.newest)
            for record in batch.records:
                self._delta.replay(record)
            last = batch
        if last is not None and self._delta is not None and not self._delta.in_transaction:
            delta, self._delta = self._delta, None
            self._publisher.publish(delta, delta.apply(last.last_offset, last.epoch))
        return self._publisher.newest.offset > before

    def _replace(self, snapshot: "LoadedBatch") -> None:
        self._delta = None
        before = self._publisher.newest
        delta = MetadataDelta(MetadataImage.empty(before.cluster_id))
        for record in snapshot.records:
            delta.replay(record)
        image = delta.apply(snapshot.last_offset, snapshot.epoch)
        self._publisher.publish(replacement_delta(before, image), image)
