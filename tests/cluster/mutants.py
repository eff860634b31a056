"""Bugs that clusters have had, put back one at a time: the simulation must find each.

`python -m tests.cluster.mutants` tells which seed finds which.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from pykbroker.controller import alter_partition
from pykbroker.controller.cluster_control import ClusterControl
from pykbroker.log.log_manager import LogManager
from pykbroker.log.producer_state import ProducerStateManager
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.replica.fetcher_manager import ReplicaFetcherManager
from pykbroker.replica.follower import Follower
from pykbroker.replica.follower_progress import FollowerProgress
from pykbroker.replica.isr import InSyncReplicas, Peers
from pykbroker.replica.partition import Partition
from tests.cluster.simulation import run

Patch = tuple[Any, str, Any]
SEEDS = 500


def _committed_isr_only(self: Any, log_end_offset: int) -> int:
    return min([log_end_offset, *(one.log_end_offset for one in self.followers.values() if one.id in self.state.isr)])


def _ignores_divergence(self: Any, epoch: int, end_offset: int) -> None:
    self.last_fetched_epoch = epoch


def _any_active(self: Any, follower: Any) -> bool:
    broker = self.brokers.get(follower.id)
    return broker is not None and broker.is_active


def _any_life(real: Any) -> Any:
    def fetched(self: Any, offset: int, start: int, end: int, epoch: int, registered: int | None, now: float) -> None:
        real(self, offset, start, end, epoch, None, now)

    return fetched


def _expands_from_the_high_watermark(real: Any) -> Any:
    def expand(self: Any, follower: Any, high_watermark: int, epoch_start_offset: int) -> None:
        real(self, follower, high_watermark, 0)

    return expand


def _truncates_to_the_high_watermark(real: Any) -> Any:
    def add(self: Any, partition: Any) -> None:
        partition.log.truncate_to(partition.log.high_watermark)
        real(self, partition)

    return add


def _one_ahead(real: Any) -> Any:
    def fetched(self: Any, follower_id: int, offset: int, start: int, leader_end: int, epoch: int) -> None:
        real(self, follower_id, min(offset + 1, self.log.log_end_offset), start, leader_end, epoch)

    return fetched


def _without_epochs(real: Any) -> Any:
    def check_leader(self: Any, current_leader_epoch: int = -1, *, only_leader: bool = True) -> None:
        real(self, only_leader=only_leader)

    return check_leader


def _forgets_followers_producers(real: Any) -> Any:
    def replay(self: Any, header: Any, *args: Any) -> Any:
        return real(self, header._replace(producer_id=-1), *args)

    return replay


def _always_clean(real: Any) -> Any:
    def after_shutdown(self: Any, broker_id: int, *, clean: bool) -> Any:
        return []

    return after_shutdown


def _cuts_one_less(real: Any) -> Any:
    def truncate_to(self: Any, offset: int) -> Any:
        return real(self, min(offset + 1, self.log_end_offset))

    return truncate_to


def of(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Patch:
    return owner, name, wrap(getattr(owner, name))


MUTANTS: dict[str, list[Patch]] = {
    "high watermark over the committed ISR only (KIP-497)": [(InSyncReplicas, "committed_end", _committed_isr_only)],
    "no truncation on a diverging epoch (KIP-101)": [(Follower, "_truncate_diverging", _ignores_divergence)],
    "ISR expansion without broker epochs (KIP-903)": [
        (Peers, "may_join", _any_active),
        of(FollowerProgress, "fetched", _any_life),
        (alter_partition, "_may_be_in_sync", lambda *_: True),
    ],
    "ISR expansion before the epoch's start is reached (KAFKA-7128)": [
        of(InSyncReplicas, "expand", _expands_from_the_high_watermark)
    ],
    "truncation to the high watermark (before KIP-101)": [
        of(ReplicaFetcherManager, "add", _truncates_to_the_high_watermark)
    ],
    "commits below min.insync.replicas (KIP-966)": [(InSyncReplicas, "is_under_min", lambda *_: False)],
    "a fetch counts as one record more": [of(Partition, "follower_fetched", _one_ahead)],
    "leader epochs are not checked (KIP-320)": [of(Partition, "check_leader", _without_epochs)],
    "an unclean shutdown leaves broker in ISR and ELR": [of(ClusterControl, "_after_shutdown", _always_clean)],
    "truncation one record short": [of(UnifiedLog, "truncate_to", _cuts_one_less)],
    "the recovery point stays behind a truncation": [(LogManager, "_recovery_point_may_be_back", lambda *_: None)],
    "followers forget producers": [of(ProducerStateManager, "replay", _forgets_followers_producers)],
}


@contextmanager
def mutant(name: str) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, attribute, value in MUTANTS[name]:
            stack.enter_context(patch.object(owner, attribute, value))
        yield


def first_failure(name: str, seeds: range) -> tuple[int, str] | None:
    """The seed that finds it, and how."""
    with mutant(name):
        for seed in seeds:
            try:
                run(seed)
            except Exception as error:
                return seed, f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for each in MUTANTS:
        if not sys.argv[1:] or any(word in each for word in sys.argv[1:]):
            found = first_failure(each, range(SEEDS))
            sys.stdout.write(f"{each}: {'not found' if found is None else f'{found[0]}: {found[1][:150]}'}\n")
            sys.stdout.flush()
