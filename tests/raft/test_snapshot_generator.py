"""When an observer writes a snapshot of its own, and what goes then."""

from pathlib import Path

from pykbroker.clock import ManualClock
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.raft import snapshot
from pykbroker.raft.metadata_loader import MetadataLoader
from pykbroker.raft.observer_log import ObserverLog
from pykbroker.raft.snapshot import SnapshotId
from pykbroker.raft.snapshot_generator import SnapshotGenerator
from tests.raft.logs import config
from tests.raft.test_observer import batch
from tests.raft.test_observer_log import open_log


class Stand:
    def __init__(self, folder: Path, **settings: object) -> None:
        self.clock = ManualClock()
        self.log: ObserverLog = open_log(folder)
        self.publisher = MetadataPublisher("c")
        self.loader = MetadataLoader(self.log, self.publisher)
        self.generator = SnapshotGenerator(self.log, lambda: self.publisher.image, config(**settings), self.clock)

    def take(self, *names: str) -> None:
        self.log.append_as_follower(bytearray(batch(self.log.end_offset, *names)), 1)
        self.log.commit(self.log.end_offset)
        self.loader.catch_up()
        self.generator.published()

    def snapshot(self) -> SnapshotId:
        made = self.generator.job()()
        self.generator.done(made)
        return made


def test_after_so_many_bytes(tmp_path: Path) -> None:
    stand = Stand(tmp_path, metadata_log_max_record_bytes_between_snapshots=len(batch(0, "a")) + 1)
    assert not stand.generator.is_due()
    stand.take("a")
    assert not stand.generator.is_due()
    stand.take("b")
    assert stand.generator.is_due()
    assert stand.snapshot() == SnapshotId(2, 1)
    assert not stand.generator.is_due()
    stand.take("c")
    assert not stand.generator.is_due(), "the count began anew"


def test_so_long_after_the_first_change(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.clock.advance(4000)
    stand.take("a")
    stand.clock.advance(3599)
    stand.take("b")
    assert not stand.generator.is_due()
    stand.clock.advance(1)
    assert stand.generator.is_due()
    assert stand.snapshot() == SnapshotId(2, 1)
    stand.clock.advance(4000)
    assert not stand.generator.is_due(), "nothing has changed"


def test_by_bytes_alone_where_the_interval_is_0(tmp_path: Path) -> None:
    stand = Stand(tmp_path, metadata_log_max_snapshot_interval_ms=0)
    stand.take("a")
    stand.clock.advance(1e6)
    assert not stand.generator.is_due()


def test_a_snapshot_holds_the_image_and_the_next_start_begins_with_it(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.take("a", "b")
    made = stand.snapshot()
    read = snapshot.read(stand.log.snapshot_path(made))
    assert (len(read.values), read.timestamp) == (2, 5)
    stand.log.close()
    again = Stand(tmp_path)
    assert not again.generator.is_due()
    assert again.loader.catch_up()
    assert again.publisher.image == stand.publisher.image


def test_old_snapshots_and_segments_go_as_retention_says(tmp_path: Path) -> None:
    stand = Stand(tmp_path, metadata_max_retention_bytes=0)
    stand.take("a")
    stand.snapshot()
    stand.take("b")
    assert stand.snapshot() == SnapshotId(2, 1)
    assert (stand.log.snapshots(), stand.log.start_offset) == ([SnapshotId(2, 1)], 2)
