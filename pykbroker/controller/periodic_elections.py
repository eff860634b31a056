"""Elections that nobody asks for: back to preferred leaders, and any leader at all where a topic allows it.

Kafka: PeriodicTaskControlManager with its tasks electPreferred and electUnclean.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pykbroker.controller.result import ControllerResult
from pykbroker.metadata.image import MetadataImage

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

# In one batch; the others come right after (ReplicationControlManager.MAX_ELECTIONS_PER_IMBALANCE).
MAX_ELECTIONS = 1000

Decide = Callable[[MetadataImage], ControllerResult[bool]]


class _Task:
    """`decide` answers whether there is more to do at once. Times are clock.monotonic seconds."""

    def __init__(self, decide: Decide, interval: float, now: float) -> None:
        self.decide = decide
        self.interval = interval
        self.deadline = now + interval


class PeriodicElections:
    """When which of them is due, and what is decided then."""

    def __init__(self, config: "BrokerConfig", now: float) -> None:
        self._config = config
        self._tasks = [_Task(self._elect_unclean, config.unclean_leader_election_interval_ms / 1000, now)]
        if config.auto_leader_rebalance_enable:
            self._tasks.append(_Task(self._elect_preferred, config.leader_imbalance_check_interval_seconds, now))

    def next_deadline(self) -> float:
        return min(task.deadline for task in self._tasks)

    def due(self, now: float) -> Iterator[Decide]:
        """Decisions to submit, one after the other."""
        for task in self._tasks:
            if task.deadline <= now:
                yield self._rescheduling(task, now)

    def _rescheduling(self, task: _Task, now: float) -> Decide:
        def decide(image: MetadataImage) -> ControllerResult[bool]:
            result = task.decide(image)
            task.deadline = now if result.response else now + task.interval
            return result

        return decide

    def _elect_preferred(self, image: MetadataImage) -> ControllerResult[bool]:
        from pykbroker.controller.elections import balance_leaders

        return balance_leaders(image, self._config, MAX_ELECTIONS)

    def _elect_unclean(self, image: MetadataImage) -> ControllerResult[bool]:
        from pykbroker.controller.elections import elect_uncleanly

        return elect_uncleanly(image, self._config, MAX_ELECTIONS)
