"""Which fetcher follows which partition: exactly one each, by leader and hash. (AbstractFetcherManager)"""

from collections.abc import Callable, Iterable
from logging import getLogger
from typing import TYPE_CHECKING

from pykbroker.errors import KafkaError
from pykbroker.protocol.hashes import java_string_hash
from pykbroker.replica.fetch_session_handler import Key
from pykbroker.replica.fetcher import Environment, Fetcher, key_of

if TYPE_CHECKING:
    from pykbroker.ids import TopicPartition
    from pykbroker.replica.partition import Partition

logger = getLogger(__name__)
_POSITIVE = 0x7FFFFFFF


class ReplicaFetcherManager:
    """`on_fetcher` is called with a new one, whose loop is to be started. `failed`: partitions given up until their
    leader epoch changes."""

    def __init__(self, environment: Environment, num_fetchers: int) -> None:
        self.on_fetcher: Callable[[Fetcher], None] = _ignore
        self.fetchers: dict[tuple[int, int], Fetcher] = {}
        self.failed: dict[Key, Partition] = {}
        self._environment = environment
        self._num_fetchers = num_fetchers
        self._fetcher_of: dict[Key, Fetcher] = {}

    def add(self, partition: "Partition") -> None:
        """Follows its leader from the log end on, in the leader epoch that it has; nobody when it has no leader."""
        self.remove([partition])
        key, leader_id = key_of(partition), partition.image.leader
        if leader_id < 0:
            return
        fetcher = self._fetcher_for(leader_id, partition.topic_partition)
        try:
            fetcher.add(partition)
        except KafkaError as error:
            logger.error("Cannot follow %s: %s", partition.topic_partition, error)
            self.failed[key] = partition
            return
        self._fetcher_of[key] = fetcher

    def remove(self, partitions: "Iterable[Partition]") -> None:
        for partition in partitions:
            key = key_of(partition)
            self.failed.pop(key, None)
            fetcher = self._fetcher_of.pop(key, None)
            if fetcher is not None:
                fetcher.remove([key])

    def close_idle(self) -> None:
        """Ends the loops of those that follow nothing any more; after changes, not between them."""
        for where, fetcher in list(self.fetchers.items()):
            if not fetcher.followers:
                del self.fetchers[where]
                fetcher.close()

    def resize(self, num_fetchers: int) -> None:
        """num.replica.fetchers changed: partitions go where their hash says now, each at the end of its log."""
        if num_fetchers == self._num_fetchers:
            return
        logger.info("Following each leader with %d fetchers, %d before", num_fetchers, self._num_fetchers)
        self._num_fetchers = num_fetchers
        partitions = [one.partition for fetcher in self.fetchers.values() for one in fetcher.followers.values()]
        for partition in partitions:
            self.add(partition)
        self.close_idle()

    def fetcher_of(self, partition: "Partition") -> Fetcher | None:
        return self._fetcher_of.get(key_of(partition))

    def shut_down(self) -> None:
        """Nothing is followed any more."""
        for fetcher in self.fetchers.values():
            fetcher.close()
        self.fetchers.clear()
        self._fetcher_of.clear()

    def _fetcher_for(self, leader_id: int, tp: "TopicPartition") -> Fetcher:
        fetcher_id = fetcher_id_of(tp, self._num_fetchers)
        fetcher = self.fetchers.get((leader_id, fetcher_id))
        if fetcher is None:
            fetcher = self.fetchers[leader_id, fetcher_id] = Fetcher(leader_id, fetcher_id, self._environment)
            fetcher.on_failed = self._on_failed
            self.on_fetcher(fetcher)
        return fetcher

    def _on_failed(self, partition: "Partition") -> None:
        key = key_of(partition)
        self._fetcher_of.pop(key, None)
        self.failed[key] = partition


def fetcher_id_of(tp: "TopicPartition", num_fetchers: int) -> int:
    """Spread by hash (getFetcherId)."""
    return ((31 * java_string_hash(tp.topic) + tp.partition) & _POSITIVE) % num_fetchers


def _ignore(_: object) -> None:
    return
