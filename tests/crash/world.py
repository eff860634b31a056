"""One seeded life of two log directories and a metadata log, from crash to crash, held against plain models.

`python -m tests.crash.world --seed 7 --points 1000` runs it by hand; a seed and a number of points replay any failure.
"""

import tempfile
from argparse import ArgumentParser
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from pykbroker.clock import ManualClock
from pykbroker.errors import KafkaError
from pykbroker.ids import DIRECTORY_UNASSIGNED, TopicPartition, Uuid
from pykbroker.log.cleaning_state import CleaningAborted
from pykbroker.log.inspection.report import Finding, Report, Severity
from pykbroker.log.log_copy import CopyError
from pykbroker.log.log_dir import LogDirError
from pykbroker.log.log_manager import LogDirectory, LogManager
from pykbroker.log.retention import deletable_segments
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.raft.inspection.data_check import DataCheck
from pykbroker.record.builder import build_batch
from pykbroker.record.control import end_transaction_batch
from tests.crash.faulty_files import Crash, FaultyFiles, Kind
from tests.crash.metadata_model import MetadataModel
from tests.crash.models import IDEMPOTENT, TRANSACTIONAL, LogModel, Pair, Written, expect
from tests.log.cleaners import clean
from tests.log.logs import NOW, topic_config

COMMON: dict[str, Any] = {
    "segment_bytes": 600,
    "index_interval_bytes": 100,
    "segment_index_bytes": 72,
    "retention_ms": -1,
    "delete_retention_ms": 500,
    "file_delete_delay_ms": 1000,
}
TOPICS: dict[str, dict[str, Any]] = {
    "plain": {"retention_bytes": 3000},
    "table": {"cleanup_policy": ["compact"]},
    "both": {"cleanup_policy": ["compact", "delete"], "retention_bytes": 2500},
}
# What an operation may raise when the disk says no.
REFUSALS = (OSError, KafkaError, CopyError, CleaningAborted, LogDirError)
WEIGHTS = {
    "append": 40,
    "transact": 12,
    "end_transaction": 8,
    "new_epoch": 2,
    "roll": 4,
    "flush": 6,
    "flush_sealed": 5,
    "checkpoint": 5,
    "truncate": 4,
    "retain": 5,
    "delete_records": 3,
    "remove_files": 5,
    "compact": 10,
    "delete_topic": 2,
    "move": 4,
    "stop": 2,
    "pass_time": 4,
    "metadata": 25,
}


class World:
    def __init__(self, root: Path, seed: int) -> None:
        self.root = root / "node"
        self.random = Random(seed)
        self.clock = ManualClock(wall_ms=NOW)
        self.models: dict[TopicPartition, LogModel] = {}
        self.operation = "open"
        self.crashed_at: Counter[str] = Counter()
        self.trace: deque[str] = deque(maxlen=40)
        self._number = 0
        for name in ("one", "two", "meta"):
            (self.root / name).mkdir(parents=True)
        self.metadata_model = MetadataModel(self.root / "meta", self.random)
        self.files: FaultyFiles
        self.manager: LogManager
        self.is_killed = True
        self.start()

    # From crash to crash

    def crash(self) -> None:
        """Lives until the next planned failure, which may come while it is starting again."""
        kind: Kind = self.random.choice(("kill", "power", "power", "error"))
        self.files.plan(kind, self.random.randint(1, self.random.choice((10, 60, 200))))
        while not self._failed(self._act):
            pass
        self.end(kind)
        while self.random.random() < 0.3 and self._failed(self._plan_start):
            self.end(self.files_kind)
        self.start()

    def _plan_start(self) -> None:
        self.files_kind: Kind = self.random.choice(("kill", "power"))
        self.operation = "start"
        self.prepare()
        self.files.plan(self.files_kind, self.random.randint(1, 60))
        self.load()
        self.metadata_model.open(self.files, self.clock, is_killed=self.is_killed)
        raise Crash  # nothing failed: it is killed now

    def _failed(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Crash:
            return True
        except REFUSALS:
            # Without a planned error nobody may refuse anything.
            if self.files.is_over:
                return True
            raise
        return self.files.is_over

    def end(self, kind: Kind) -> None:
        """The process is gone, and with "power" what nobody synced."""
        self.trace.append(f"{kind} at {self.files.where}")
        self.crashed_at[f"{kind} in {self.operation}: {self.files.where.split(' ')[0]}"] += 1
        is_cut = kind == "power" or (kind == "error" and self.random.random() < 0.5)
        self.manager.release()
        if is_cut:
            self.files.cut()
        self.files.is_dead = True
        self.is_killed = self.is_killed and not is_cut

    def start(self) -> None:
        self.operation = "start"
        self.prepare()
        self.load()
        for model in self.models.values():
            self.check(model)
        self.metadata_model.open(self.files, self.clock, is_killed=self.is_killed)
        self.is_killed = True

    def prepare(self) -> None:
        self.files = FaultyFiles(self.root, self.random)
        self.open()

    def open(self) -> None:
        paths = [str(self.root / "one"), str(self.root / "two")]
        self.manager = LogManager(paths, clock=self.clock, files=self.files)
        self.manager.open(node_id=1, cluster_id=None, new_cluster_id=lambda: "cluster")

    def load(self) -> None:
        self.manager.load(lambda topic: topic_config(**COMMON, **TOPICS[topic]), self.assigned)
        for log in list(self.manager.all()):
            model = self.models.get(log.topic_partition)
            if model is None or log.topic_id not in (None, model.topic_id):
                self.manager.mark_stray(log.topic_partition)

    def assigned(self, tp: TopicPartition) -> Uuid:
        return self.models[tp].assigned if tp in self.models else DIRECTORY_UNASSIGNED

    def check(self, model: LogModel) -> None:
        log = self.manager.create(model.tp, model.topic_id, self.config(model.tp), model.assigned)
        model.check(log, model.written if self.is_killed else model.durable, is_cut=not self.is_killed)
        log.update_high_watermark(log.log_end_offset)
        place = self.manager.directory_of(model.tp)
        assert place is not None
        model.assigned = place.id

    # What happens

    def _act(self) -> None:
        self.operation = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self.trace.append(self.operation)
        getattr(self, self.operation)()

    def config(self, tp: TopicPartition) -> Any:
        return topic_config(**COMMON, **TOPICS[tp.topic])

    def any(self) -> tuple[LogModel, UnifiedLog]:
        """A partition, made where there is none."""
        tp = TopicPartition(self.random.choice(list(TOPICS)), self.random.randrange(2))
        model = self.models.get(tp)
        self.trace[-1] += f" {tp}"
        if model is None:
            model = LogModel(tp, Uuid.random(), is_compacted="cleanup_policy" in TOPICS[tp.topic])
            model.assigned = self.random.choice(self.manager.directories).id
            self.models[tp] = model
            self.manager.create(tp, model.topic_id, self.config(tp), model.assigned)
        log = self.manager.get(tp)
        assert log is not None
        return model, log

    def pairs(self) -> list[Pair]:
        def pair() -> Pair:
            self._number += 1
            value = None if self.random.random() < 0.2 else b"%d" % self._number + b"x" * self.random.randrange(40)
            return b"k%d" % self.random.randrange(6), value

        return [pair() for _ in range(self.random.randint(1, 4))]

    def append(self) -> None:
        model, log = self.any()
        self._append(model, log, IDEMPOTENT)

    def transact(self) -> None:
        model, log = self.any()
        self._append(model, log, TRANSACTIONAL)

    def _append(self, model: LogModel, log: UnifiedLog, producer_id: int) -> None:
        pairs, base = self.pairs(), log.log_end_offset
        entry = log.producer_state.producers.get(producer_id)
        sequence = (entry.last_sequence if entry is not None else -1) + 1
        data = build_batch(
            [(key, value, [], self.clock.wall_ms()) for key, value in pairs],
            producer_id=producer_id,
            producer_epoch=0,
            base_sequence=sequence,
            is_transactional=producer_id == TRANSACTIONAL,
            codec=self.random.choice((0, 0, 1, 4)),
        )
        last_sequence = sequence + len(pairs) - 1
        model.line.append(Written(base, base + len(pairs), model.epoch, producer_id, last_sequence, tuple(pairs)))
        self._write(model, log, data)

    def _write(self, model: LogModel, log: UnifiedLog, data: bytearray) -> None:
        log.append_as_leader(data, model.epoch, self.clock.wall_ms(), origin="coordinator")
        log.update_high_watermark(log.log_end_offset)
        model.written = log.log_end_offset

    def end_transaction(self) -> None:
        model, log = self.any()
        entry = log.producer_state.producers.get(TRANSACTIONAL)
        if entry is None or entry.first_offset < 0:
            return
        commit = self.random.random() < 0.5
        marker = end_transaction_batch(
            commit=commit,
            producer_id=TRANSACTIONAL,
            producer_epoch=0,
            coordinator_epoch=0,
            timestamp=self.clock.wall_ms(),
        )
        base = log.log_end_offset
        model.line.append(Written(base, base + 1, model.epoch, TRANSACTIONAL, -1, (), commit))
        self._write(model, log, marker)

    def new_epoch(self) -> None:
        model, _ = self.any()
        model.epoch += 1

    def roll(self) -> None:
        _, log = self.any()
        if log.active.size:
            log.roll(self.clock.wall_ms())

    def flush(self) -> None:
        model, log = self.any()
        log.flush()
        model.flushed(log.log_end_offset)

    def flush_sealed(self) -> None:
        """As housekeeping does it before it writes the recovery points."""
        model, log = self.any()
        offset = log.active.base_offset
        if log.recovery_point < offset:
            log.flush_job(offset)()
            log.flushed(offset)
            model.flushed(offset)

    def checkpoint(self) -> None:
        self.random.choice(
            (
                self.manager.checkpoint_recovery_points,
                self.manager.checkpoint_high_watermarks,
                self.manager.checkpoint_log_start_offsets,
                self.manager.checkpoint_cleaner_offsets,
            )
        )()

    def truncate(self) -> None:
        """As a follower: to where a batch begins. (LogManager.truncateTo)"""
        model, log = self.any()
        bases = [one.base for one in model.line if one.base >= log.log_start_offset]
        if model.is_compacted or not bases:
            return
        offset = self.random.choice(bases[-8:])
        model.truncate(offset)
        log.truncate_to(offset)
        self.manager.checkpoint_recovery_points()

    def retain(self) -> None:
        model, log = self.any()
        now_ms = self.clock.wall_ms()
        going = len(deletable_segments(log, now_ms))
        ends = [*(segment.base_offset for segment in log.segments[1:]), log.log_end_offset]
        if going:
            model.start = max(model.start, ends[going - 1])
        log.delete_old_segments(now_ms)

    def delete_records(self) -> None:
        model, log = self.any()
        model.start = max(model.start, self.random.randint(log.log_start_offset, log.log_end_offset))
        log.increment_log_start_offset(model.start)

    def remove_files(self) -> None:
        now = self.clock.monotonic()
        self.manager.remove_doomed_directories(now)
        for log in self.manager.all():
            for path in log.take_doomed(now):
                self.files.unlink(path)

    def compact(self) -> None:
        model, log = self.any()
        if model.is_compacted:
            clean(log, log_cleaner_io_buffer_size=self.random.choice((100, 5000)))
            self.manager.checkpoint_cleaner_offsets()

    def delete_topic(self) -> None:
        model, _ = self.any()
        del self.models[model.tp]
        self.manager.delete(model.tp)

    def move(self) -> None:
        model, _ = self.any()
        target: LogDirectory = self.random.choice(self.manager.directories)
        if self.manager.directory_of(model.tp) is target:
            return
        copy = self.manager.begin_copy(model.tp, target)
        while (copying := copy.next_round()) is not None:
            copying.job()
            copy.copied(copying)
        # The cluster knows before the logs change places.
        model.assigned = target.id
        self.manager.replace(copy, target)

    def stop(self) -> None:
        """In order: then everything must be right as it is."""
        self.manager.shutdown(5)
        if self.files.is_over:
            return
        for model in self.models.values():
            model.flushed(model.written)
        findings: list[Finding] = []
        folders = [str(self.root / "one"), str(self.root / "two")]
        DataCheck(folders, Report(findings.append)).run()
        wrong = [str(one) for one in findings if one.severity is not Severity.NOTE and not self._is_excused(one)]
        expect(not wrong, "check-dir finds", *wrong)
        self.open()
        self.load()
        for log in self.manager.all():
            log.update_high_watermark(log.log_end_offset)

    def _is_excused(self, finding: Finding) -> bool:
        """Without the metadata log it does not know what is compacted. And deleted records that are back, since their
        deletion was not in the checkpoint yet, have no epochs any more, as in Kafka."""
        name = Path(finding.path).parent.name
        model = next((model for tp, model in self.models.items() if str(tp) == name), None)
        if model is None:
            return False
        if finding.kind == "producer snapshot":
            return True  # torn by a power cut; whoever needs it rebuilds it from the segments
        if finding.kind == "leader epoch":
            return finding.offset < model.once_deleted
        return finding.kind == "gap" and model.is_compacted

    def pass_time(self) -> None:
        self.clock.advance(self.random.choice((0.1, 2)))

    def metadata(self) -> None:
        self.metadata_model.act()


def run(seed: int, points: int) -> Counter[str]:
    """How often what failed where. Raises Broken, with the seed and the point in a note."""
    ids = Random(seed)
    with (
        tempfile.TemporaryDirectory() as root,
        patch.object(Uuid, "random", lambda: Uuid(bytes([1, *ids.randbytes(15)]))),
    ):
        world = World(Path(root), seed)
        try:
            for _ in range(points):
                world.crash()
        except BaseException as error:
            error.add_note(f"seed {seed}, after {world.crashed_at.total()} points: {', '.join(world.trace)}")
            raise
        finally:
            world.manager.release()
        return world.crashed_at


def main() -> None:
    parser = ArgumentParser(description="Crashes logs at random places and checks what is left.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=1000)
    options = parser.parse_args()
    for what, count in sorted(run(options.seed, options.points).items()):
        print(f"{count:6} {what}")


if __name__ == "__main__":
    main()
