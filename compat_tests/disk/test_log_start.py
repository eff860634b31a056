"""DeleteRecords, and what becomes of it: searches for a time before retention has run, and crashes before a checkpoint.

With --oracle the real Kafka is asked the same.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.disk import served
from compat_tests.disk.handover import SETTINGS, asking
from compat_tests.disk.restartable import Restartable, restartable
from compat_tests.disk.test_scenarios import trim
from compat_tests.wire.conftest import SocketAsker
from tests.handlers.broker.asker import TIMESTAMP, Topic, batch, produce
from tests.handlers.cluster_asker import eventually

SECOND = 1000
CHECKPOINT = "log-start-offset-checkpoint"
START_CHECKPOINT_MS = "log.flush.start.offset.checkpoint.interval.ms"
NEVER = "3600000"


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Restartable]:
    with restartable(request, tmp_path, {**SETTINGS, **request.param}) as broker:
        yield broker


def five_segments(asker: SocketAsker) -> Topic:
    """20 batches a second apart, four to a segment."""
    topic = asker.create(1, "trimmed", internal_segment_bytes="600", index_interval_bytes="100", retention_ms="-1")
    for number in range(20):
        row = produce(asker, topic, [(0, batch(size=60, timestamp=TIMESTAMP + number * SECOND))])[0]
        assert (row.error_code, row.base_offset) == (0, number)
    return topic


def offsets_for_seconds(asker: SocketAsker, topic: Topic) -> list[int]:
    return [served.offset_for(asker, topic, 0, TIMESTAMP + second * SECOND).offset for second in (0, 2, 7, 10, 17)]


@pytest.mark.parametrize("broker", [{"log.initial.task.delay.ms": NEVER}], indirect=True)
def test_a_time_whose_segment_lies_before_the_log_start(broker: Restartable, request: pytest.FixtureRequest) -> None:
    """Kafka asks the first segment with such a time alone: until retention removes it, whatever is asked for times in
    segments that were deleted as a whole finds nothing (-1), and then the next record. We say the latter at once."""
    with asking(broker.bootstrap) as asker:
        topic = five_segments(asker)
        trim(asker, topic, 10)
        folder = broker.data_dir / "trimmed-0"
        assert len(list(folder.glob("*.log"))) == 5
        at_once = [-1, -1, -1, 10, 17] if request.config.getoption("--oracle") else [10, 10, 10, 10, 17]
        assert offsets_for_seconds(asker, topic) == at_once
        assert served.offset_for(asker, topic, 0, served.EARLIEST).offset == 10


@pytest.mark.parametrize(
    "broker", [{"log.initial.task.delay.ms": "3000", "log.retention.check.interval.ms": "100"}], indirect=True
)
def test_the_same_once_retention_has_run(broker: Restartable) -> None:
    with asking(broker.bootstrap) as asker:
        topic = five_segments(asker)
        trim(asker, topic, 10)
        folder = broker.data_dir / "trimmed-0"
        eventually(lambda: sorted(folder.glob("*.log")), lambda found: len(found) == 3)
        assert offsets_for_seconds(asker, topic) == [10, 10, 10, 10, 17]


@pytest.mark.timeout(90)
@pytest.mark.parametrize("broker", [{START_CHECKPOINT_MS: "100", "log.initial.task.delay.ms": "100"}], indirect=True)
def test_a_log_start_that_is_in_the_checkpoint_survives_a_kill(broker: Restartable) -> None:
    with asking(broker.bootstrap) as asker:
        topic = five_segments(asker)
        trim(asker, topic, 2)
        eventually(lambda: checkpoint(broker), lambda lines: "trimmed 0 2" in lines)
    broker.kill()
    broker.start()
    with asking(broker.bootstrap) as asker:
        assert served.offset_for(asker, topic, 0, served.EARLIEST).offset == 2


@pytest.mark.timeout(90)
@pytest.mark.parametrize("broker", [{START_CHECKPOINT_MS: NEVER, "log.initial.task.delay.ms": NEVER}], indirect=True)
def test_one_that_is_not_is_forgotten_by_a_kill_and_kept_by_a_stop(broker: Restartable) -> None:
    with asking(broker.bootstrap) as asker:
        topic = five_segments(asker)
        trim(asker, topic, 2)
        assert "trimmed 0 2" not in checkpoint(broker)
    broker.kill()
    broker.start()
    with asking(broker.bootstrap) as asker:
        assert served.offset_for(asker, topic, 0, served.EARLIEST).offset == 0
        trim(asker, topic, 2)
    broker.stop()
    assert "trimmed 0 2" in checkpoint(broker)
    broker.start()
    with asking(broker.bootstrap) as asker:
        assert served.offset_for(asker, topic, 0, served.EARLIEST).offset == 2


def checkpoint(broker: Restartable) -> list[str]:
    path = broker.data_dir / CHECKPOINT
    return path.read_text().splitlines() if path.exists() else []
