"""Who looks after a broker sees that a log cannot be cleaned, and how far behind the cleaner is."""

from pykbroker.ids import TopicPartition
from pykbroker.log.cleaner_loop import CleanerLoop
from pykbroker.log.cleaner_metrics import uncleanable
from tests.log.cleaners import CleanerSettings
from tests.log.logs import NOW, topic_config
from tests.log.test_cleaner_loop import Stand, clean_once, damage, fill, stand

__all__ = ["stand"]


async def test_logs_that_cannot_be_cleaned_are_counted(stand: Stand) -> None:
    path = str(stand.paths[0])
    log = fill(stand)
    fill(stand, TopicPartition("t", 1))
    damage(log)
    cleaner = CleanerLoop(stand.manager, CleanerSettings)
    assert uncleanable(stand.manager)[path] == (0, 0)
    while await clean_once(cleaner):
        pass
    assert uncleanable(stand.manager)[path] == (1, sum(segment.size for segment in log.segments[:-1]))
    stand.manager.delete(log.topic_partition)
    assert uncleanable(stand.manager)[path] == (0, 0)


async def test_how_far_behind_it_is(stand: Stand) -> None:
    cleaner = CleanerLoop(stand.manager, CleanerSettings)
    assert set(cleaner.metrics.gauges(stand.manager).values()) == {0}
    fill(stand)
    stand.clock.advance(7.5)
    told = cleaner.metrics.gauges(stand.manager)
    assert (told["max-dirty-percent"], told["time-since-last-run-ms"]) == (100, 7500)
    assert await clean_once(cleaner)
    told = cleaner.metrics.gauges(stand.manager)
    assert (told["max-dirty-percent"], told["time-since-last-run-ms"]) == (0, 0)


async def test_logs_that_wait_longer_than_they_may(stand: Stand) -> None:
    """max.compaction.lag.ms"""
    log = fill(stand)
    cleaner = CleanerLoop(stand.manager, CleanerSettings)
    late = stand.clock.wall_ms() - NOW
    stand.clock.advance(100)
    assert cleaner.metrics.gauges(stand.manager)["max-compaction-delay-secs"] == 0
    log.update_config(topic_config(cleanup_policy=["compact"], max_compaction_lag_ms=60_000 + late))
    assert cleaner.metrics.gauges(stand.manager)["max-compaction-delay-secs"] == 40
