"""Keeps `__share_group_state` short: snapshots of what rests, deletion of records that nobody needs any more.

ShareCoordinatorService.setupRecordPruning, setupSnapshotColdPartitions.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.coordinator.share.service import ShareCoordinatorService


class UpkeepLoop:
    """`is_enabled`: whether share groups are, by the finalized share.version."""

    def __init__(
        self, coordinator: "ShareCoordinatorService", config: "BrokerConfig", is_enabled: Callable[[], bool]
    ) -> None:
        self._coordinator = coordinator
        self._prune_seconds = config.share_coordinator_state_topic_prune_interval_ms / 1000
        self._snapshot_seconds = config.share_coordinator_cold_partition_snapshot_interval_ms / 1000
        self._is_enabled = is_enabled

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._every, self._prune_seconds, self._coordinator.prune)
            nursery.start_soon(self._every, self._snapshot_seconds, self._snapshot)

    async def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            await trio.sleep(seconds)
            if self._is_enabled():
                await job()

    async def _snapshot(self) -> None:
        self._coordinator.snapshot_cold_partitions()
