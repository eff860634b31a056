"""What a cluster has promised: committed batches, who led when; and which of them may be lost.

A batch is committed once a leader's high watermark has passed it: then acks=all is answered, and consumers read it. It
may be lost by one way only: at some moment none of the brokers that the controller trusts (ISR and ELR, or if both are
empty the last known leader) has it on its disk or in its files, and a power cut took it from one that had it. A killed
process loses nothing, nor does a follower, and no election that picks one who has it not is excused.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.log.unified_log import LogAppendInfo, UnifiedLog
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topics import PartitionImage
from pykbroker.record.batch import batch_length_at, crc_is_valid, iterate_batches, parse_header
from pykbroker.record.damage import CorruptBatch
from pykbroker.replica.partition import Partition

if TYPE_CHECKING:
    from tests.cluster.broker import Process

TOPIC = "t"


class Batch(NamedTuple):
    base: int
    end: int
    epoch: int
    crc: int


class Disk(NamedTuple):
    """A log that nobody has opened, up to its first damage."""

    start: int
    end: int
    batches: dict[int, Batch]
    is_damaged: bool = False


NOTHING = Disk(0, 0, {})


class Copies:
    """One partition. `committed`: by base offset, in order."""

    def __init__(self) -> None:
        self.committed: dict[int, Batch] = {}
        self.end = 0
        # Below this, records may have been deleted on purpose.
        self.deleted_to = 0
        # From here on what was committed has been lost, once: what comes there now is new.
        self.lost_from: list[int] = []
        # (end of what is committed and still there, log end before) of power cuts.
        self.cuts: list[tuple[int, int]] = []
        self.leaders: dict[int, Process] = {}
        self.cut_back = 0
        # A replica really lost its end: what it knows of producers came from a snapshot then, their last batch only.
        self.is_shortened = False


class Ledger:
    """`of(node)` gives the process of a broker, if one runs; `disks`: batches in the files of those that do not.

    `is_lenient`: unclean elections are allowed, anything may be lost.
    """

    def __init__(self, of: "Callable[[int], Process | None]", min_in_sync: int, *, is_lenient: bool) -> None:
        self._min_in_sync = min_in_sync
        self.partitions: dict[int, Copies] = {}
        self.disks: dict[int, dict[int, Disk]] = {}
        self.is_lenient = is_lenient
        self.losses = 0
        self._of = of
        self._watched: dict[Partition, int] = {}
        self._images: dict[int, PartitionImage] = {}

    def copies(self, index: int) -> Copies:
        if index not in self.partitions:
            self.partitions[index] = Copies()
        return self.partitions[index]

    # What brokers do

    def loaded(self, process: "Process") -> None:
        """Recovery has found all that the files held, and no more."""
        disk = self.disks.pop(process.node_id, {})
        for log in process.logs.all():
            held = disk.get(log.topic_partition.partition, NOTHING).batches
            found = {batch.base: batch for batch in batches(log, log.log_start_offset, log.log_end_offset)}
            lost = [batch for base, batch in held.items() if base >= log.log_start_offset and found.get(base) != batch]
            assert not lost, f"recovery of broker {process.node_id} has not found {lost} of {log.topic_partition}"

    def watch(self, process: "Process", partition: Partition) -> None:
        if partition in self._watched:
            return
        self._watched[partition] = partition.log.high_watermark
        partition.listeners.append(lambda _: self._advanced(process, partition))
        self._advanced(process, partition)

    def appended(self, process: "Process", partition: Partition, info: LogAppendInfo) -> None:
        copies = self.copies(partition.topic_partition.partition)
        leader = copies.leaders.setdefault(partition.leader_epoch, process)
        assert leader is process, f"two leaders of {partition.topic_partition} in epoch {partition.leader_epoch}"

    def _advanced(self, process: "Process", partition: Partition) -> None:
        log = partition.log
        before, now = self._watched[partition], log.high_watermark
        if partition.is_leader:
            assert now >= before, f"the high watermark of a leader went back from {before} to {now}"
        self._watched[partition] = now
        if self.is_lenient:
            return
        copies = self.copies(partition.topic_partition.partition)
        for batch in batches(log, max(before, log.log_start_offset), now):
            self._commit(process, partition, copies, batch)

    def _commit(self, process: "Process", partition: Partition, copies: Copies, batch: Batch) -> None:
        where = f"offset {batch.base} of {partition.topic_partition} at broker {process.node_id}"
        known = copies.committed.get(batch.base)
        if known is not None:
            assert known == batch, f"{where}: {batch} where {known} was committed"
        elif partition.is_leader:
            assert batch.base >= copies.end or copies.lost_from, f"{where}: {batch} appears below {copies.end}"
            self._check_copied(partition, copies, batch, where)
            copies.committed[batch.base] = batch
            copies.end = max(copies.end, batch.end)
        else:
            assert batch.end <= copies.deleted_to or copies.lost_from, f"{where}: {batch} is not committed at a leader"

    def _check_copied(self, partition: Partition, copies: Copies, batch: Batch, where: str) -> None:
        """By no fewer than min.insync.replicas (KIP-966). The logs of all in sync are as long, unless a power cut took
        it since they fetched."""
        least = min(self._min_in_sync, len(partition.image.replicas))
        assert len(partition.isr) >= least, f"{where}: {batch} is committed by {partition.isr} alone"
        if copies.lost_from or any(after < batch.end <= before for after, before in copies.cuts):
            return
        index = partition.topic_partition.partition
        replicas = self._images[index].replicas  # who is one no more has deleted it, the leader may not know yet
        without = [one for one in partition.isr if one in replicas and self._end(one, index) < batch.end]
        assert not without, f"{where}: {batch} is committed without {without} of {partition.isr}"

    def truncates(self, process: "Process", log: UnifiedLog, offset: int) -> None:
        index = log.topic_partition.partition
        copies = self.copies(index)
        copies.cut_back += 1
        copies.is_shortened |= offset < log.log_end_offset
        assert copies.cut_back < 500, f"{log.topic_partition} is truncated without end"
        partition = process.replicas.find(*log.topic_partition)
        if partition is not None and partition in self._watched:
            self._watched[partition] = min(self._watched[partition], offset)
        if self.is_lenient or copies.lost_from:
            return
        mine = self.held(process.node_id, index)
        assert mine <= max(offset, copies.deleted_to), (
            f"broker {process.node_id} truncates {log.topic_partition} to {offset}, of what is committed to {mine}"
        )

    def deleted(self, index: int, offset: int) -> None:
        copies = self.copies(index)
        copies.deleted_to = max(copies.deleted_to, offset)

    # Who holds what

    def held(self, node_id: int, index: int) -> int:
        """To where a broker has what is committed, or has deleted it."""
        committed = self.copies(index).committed
        return next((batch.end for batch in reversed(committed.values()) if self._has(node_id, index, batch)), 0)

    def _has(self, node_id: int, index: int, batch: Batch) -> bool:
        if node_id in self.disks:
            disk = self.disks[node_id].get(index, NOTHING)
            return disk.end >= batch.end and (batch.base < disk.start or disk.batches.get(batch.base) == batch)
        process = self._of(node_id)
        log = None if process is None else log_of(process, index)
        if log is None or log.log_end_offset < batch.end:
            return False
        return batch.base < log.log_start_offset or next(_read(log, batch.base, 1), None) == batch

    def _end(self, node_id: int, index: int) -> int:
        if node_id in self.disks:
            return self.disks[node_id].get(index, NOTHING).end
        process = self._of(node_id)
        return 0 if process is None else end_of(process, index)

    def died(self, node_id: int, before: dict[int, tuple[int, int]], disk: dict[int, Disk], *, is_cut: bool) -> None:
        """`before`: to where it held what is committed of each partition, and its log end; `disk`: what its files hold
        now. What it alone knew to be appended may be committed yet: its last fetch can be on its way."""
        files, self.disks[node_id] = self.disks.get(node_id, {}), disk
        for index, (committed, end) in before.items():
            end = max(end, files.get(index, NOTHING).end)  # one that is not up yet has what it was killed with
            after = self.held(node_id, index)
            assert is_cut or after >= committed, (
                f"broker {node_id} was killed, and has {index} to {after}, not {committed}"
            )
            if is_cut and (after < committed or max(after, disk.get(index, NOTHING).end) < end):
                self.copies(index).cuts.append((after, max(committed, end)))
        for index in self._images:
            self.judge(index)

    # What the controller decides

    def on_change(self, delta: MetadataDelta, image: MetadataImage) -> None:
        for topic_id in delta.changed_topics:
            topic = image.topics.by_id(topic_id)
            for index, partition in topic.partitions.items() if topic is not None else ():
                if self._images.get(index) is not partition:
                    self._images[index] = partition
                    self.judge(index)
                    self._check_in_sync(index, partition, image)

    def judge(self, index: int) -> None:
        """Whether anybody who is trusted still has all that is committed."""
        copies, image = self.copies(index), self._images[index]
        trusted = {*image.isr, *image.elr} or set(image.last_known_elr)
        if self.is_lenient or not copies.end:
            return
        held = max((self.held(node_id, index) for node_id in trusted), default=0)
        if held >= copies.end:
            return
        is_excused = any(after <= held and held < before for after, before in copies.cuts)
        assert is_excused, f"partition {index} is committed to {copies.end}, and {image} has it to {held} only"
        self.losses += 1
        copies.lost_from.append(held)
        copies.committed = {base: batch for base, batch in copies.committed.items() if batch.end <= held}
        copies.end = held

    def _check_in_sync(self, index: int, image: PartitionImage, cluster: MetadataImage) -> None:
        """Whoever runs as what is registered and is in sync has all that is committed."""
        copies = self.copies(index)
        if self.is_lenient or copies.lost_from:
            return
        for node_id in image.isr:
            process = self._of(node_id)
            if process is None or process.broker_epoch != cluster.brokers[node_id].epoch or process.phase == "starting":
                continue
            held = self.held(node_id, index)
            assert held >= copies.end, f"broker {node_id} is in {image} with {held} of {copies.end} of {index}"


def log_of(process: "Process", index: int) -> UnifiedLog | None:
    return next((log for log in process.logs.all() if log.topic_partition.partition == index), None)


def end_of(process: "Process", index: int) -> int:
    log = log_of(process, index)
    return 0 if log is None else log.log_end_offset


def batches(log: UnifiedLog, start: int, end: int) -> Iterator[Batch]:
    """Those that begin there."""
    offset = start
    while offset < end:
        before = offset
        for batch in _read(log, offset, 1 << 16):
            if start <= batch.base < end:
                yield batch
            offset = max(offset, batch.end)
        assert offset > before, f"nothing to read at {offset} of {end} in {log.directory}"


def _read(log: UnifiedLog, offset: int, max_bytes: int) -> Iterator[Batch]:
    for region in log.read(offset, max_bytes, upper_bound=log.log_end_offset, min_one=True).segments:
        data = log.files.pread(region.file.fileno(), region.length, region.position)
        for header, _ in iterate_batches(data):
            yield Batch(header.base_offset, header.next_offset, header.partition_leader_epoch, header.crc)


def on_disk(folder: Path) -> dict[int, Disk]:
    """What the files of a broker hold, each partition up to its first damage. Not by the code under test."""
    return {
        int(path.name.rpartition("-")[2]): _scanned(path)
        for path in folder.glob(f"data/{TOPIC}-*")
        if path.name.rpartition("-")[2].isdigit()
    }


def _scanned(folder: Path) -> Disk:
    paths = sorted(folder.glob("*.log"))
    start = end = int(paths[0].stem) if paths else 0
    found: dict[int, Batch] = {}
    for path in paths:
        if int(path.stem) != end:
            break
        data, position = path.read_bytes(), 0
        while length := _sound_length(data, position):
            header = parse_header(data, position)
            found[header.base_offset] = Batch(
                header.base_offset, header.next_offset, header.partition_leader_epoch, header.crc
            )
            position, end = position + length, header.next_offset
        if position < len(data):
            return Disk(start, end, found, is_damaged=True)
    return Disk(start, end, found)


def close_gaps(folder: Path) -> None:
    """A power cut may take whole batches from the end of one segment and leave the next. Recovery keeps that gap, as
    Kafka's does on the same files, and a replica with a gap loses what was committed once it leads: here such segments
    reach the disk in order. Behind a batch that is damaged the next may be there.
    """
    for path in folder.glob(f"data/{TOPIC}-*"):
        for segment, behind in pairwise(sorted(path.glob("*.log"))):
            end, is_damaged = _sound_end(segment)
            if not is_damaged and int(behind.stem) > end:
                _remove_behind(path, end)
                break


def _sound_end(segment: Path) -> tuple[int, bool]:
    """Where the last whole batch ends, and whether there is more behind it."""
    data, position, end = segment.read_bytes(), 0, int(segment.stem)
    while length := _sound_length(data, position):
        end = parse_header(data, position).next_offset
        position += length
    return end, position < len(data)


def _remove_behind(folder: Path, offset: int) -> None:
    for file in folder.iterdir():
        if file.stem.isdigit() and int(file.stem) > offset:
            file.unlink()


def _sound_length(data: bytes, position: int) -> int:
    """0 for a batch that is not whole."""
    try:
        length = batch_length_at(data, position)
        is_whole = length is not None and position + length <= len(data) and crc_is_valid(data, position)
    except CorruptBatch:
        return 0
    return length or 0 if is_whole else 0
