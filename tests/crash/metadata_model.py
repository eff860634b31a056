"""The metadata log as a plain list of names: what it must still hold after a crash."""

from pathlib import Path
from random import Random

from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.log.files import Files
from pykbroker.protocol.metadata_records import frame_record
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.raft import snapshot
from pykbroker.raft.metadata_log import MetadataLog
from pykbroker.raft.opening import open_metadata_log
from pykbroker.raft.single_voter import become_leader
from pykbroker.raft.snapshot import SnapshotId
from tests.crash.models import expect
from tests.raft.logs import latest, setting


class MetadataModel:
    """`names` were appended in this order, batch by batch; the first `written` must survive a kill, the first
    `durable` a power cut."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder = folder
        self.log: MetadataLog
        self.names: list[str] = []
        # Behind which offset how many names there are, for each end of a batch.
        self.count_at = {0: 0}
        self.written = 0
        self.durable = 0
        self.epoch = 0
        self._random = random
        self._next = 0

    def open(self, files: Files, clock: ManualClock, *, is_killed: bool) -> None:
        """After a crash. Raises Broken, Crash, OSError."""
        config = BrokerConfig()
        config.__dict__.update(internal_metadata_log_segment_bytes=700)
        self.log = open_metadata_log(str(self.folder), files=files, clock=clock, config=config)
        loaded = list(self.log.load())
        found = [record.name for batch in loaded for record in batch.records if isinstance(record, ConfigRecord)]
        expect(found == self.names[: len(found)], "metadata", found, "instead of", self.names)
        promised = self.written if is_killed else self.durable
        expect(len(found) >= promised, "metadata", len(found), "of", promised, "promised records")
        self.names = found
        self.written = len(found)
        self.durable = min(self.durable, len(found))
        epoch = become_leader(self.log, 1, loaded[-1].epoch if loaded else -1)
        expect(epoch > self.epoch, "metadata: epoch", epoch, "is led twice")
        self.epoch = epoch
        self.count_at[self.log.end_offset] = len(found)
        self.sync()

    def act(self) -> None:
        self._random.choice((self.append, self.append, self.sync, self.sync, self.snapshot))()

    def append(self) -> None:
        count = self._random.randint(1, 4)
        names = [f"{self._next + index}" for index in range(count)]
        self._next += count
        self.names += names
        self.log.append([setting(name) for name in names], latest)
        self.written = self.count_at[self.log.end_offset] = len(self.names)

    def sync(self) -> None:
        count = len(self.names)
        self.log.sync()
        self.durable = count

    def snapshot(self) -> None:
        """Of what is committed; then old ones go, and the segments below."""
        end = self.log.high_watermark
        snapshot_id = SnapshotId(end, self.epoch)
        values = [frame_record(setting(name), 0) for name in self.names[: self.count_at[end]]]
        snapshot.write(
            self.log.snapshot_path(snapshot_id), values, epoch=self.epoch, timestamp=1, now_ms=1, files=self.log.files
        )
        self.log.snapshot_written(snapshot_id)
        self.log.trim(max_bytes=self._random.choice((500, 2000)), max_ms=-1, now_ms=1)
