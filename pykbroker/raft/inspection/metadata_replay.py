"""Replays the metadata log as a broker does, and compares it with each snapshot on the way."""

from collections.abc import Mapping

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.log.inspection.batches import FoundBatch
from pykbroker.log.inspection.decoding import decode_control, told
from pykbroker.log.inspection.report import Report
from pykbroker.metadata.delta import MetadataDelta, ReplayError
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.message import Message
from pykbroker.protocol.metadata_records import parse_record
from pykbroker.raft.inspection.snapshot_check import KIND
from pykbroker.raft.snapshot import SnapshotId
from pykbroker.record.reader import iterate_records


class MetadataReplay:
    """`snapshots`: the good ones, by what their names say."""

    def __init__(self, directory: str, snapshots: Mapping[SnapshotId, MetadataImage], report: Report) -> None:
        self._directory = directory
        self._snapshots = dict(sorted(snapshots.items()))
        self._report = report
        # None: nothing to go on from, until a snapshot comes.
        self._image: MetadataImage | None = None
        self._delta: MetadataDelta | None = None
        self._next_offset = -1
        self._epoch = -1
        self._to_pass = list(self._snapshots)

    def take(self, path: str, batch: FoundBatch) -> None:
        if self._next_offset == -1 and batch.base_offset == 0:
            self._start(MetadataImage.empty(), 0)
        elif self._delta is not None and batch.base_offset != self._next_offset:
            self._delta = None  # records are missing, which is told elsewhere
        self._pass_snapshots(batch.base_offset)
        self._next_offset = batch.last_offset + 1
        self._epoch = batch.header.partition_leader_epoch if batch.header is not None else -1
        offset = batch.base_offset
        try:
            for record in iterate_records(batch.data()):
                offset = record.offset
                if batch.header is not None and batch.header.is_control:
                    decode_control(record)
                else:
                    self._replay(parse_record(record.value or b"")[0])
        except (KafkaError, MalformedFrame, ReplayError) as error:
            self._report.defect("metadata record", path, told(error), position=batch.position, offset=offset)
            self._delta = None

    def _start(self, image: MetadataImage, next_offset: int) -> None:
        self._image, self._delta, self._next_offset = image, MetadataDelta(image), next_offset

    def _replay(self, record: Message) -> None:
        """Raises ReplayError."""
        if self._delta is not None:
            self._delta.replay(record)

    def _pass_snapshots(self, offset: int) -> None:
        """Of those that end at or before `offset`, the next record's."""
        while self._to_pass and self._to_pass[0].end_offset <= offset:
            snapshot_id = self._to_pass.pop(0)
            image = self._snapshots[snapshot_id]
            if self._delta is None:
                self._start(image, offset)
            elif snapshot_id.end_offset == self._next_offset and snapshot_id.end_offset > 0:
                self._compare(snapshot_id, image)

    def _compare(self, snapshot_id: SnapshotId, image: MetadataImage) -> None:
        replayed = self._apply()
        if replayed is None:
            return
        names = [name for name in MetadataImage._fields if name not in ("cluster_id", "offset", "epoch")]
        different = [name for name in names if getattr(replayed, name) != getattr(image, name)]
        path = f"{self._directory}/{snapshot_id.file_name}"
        if different:
            message = f"not what the log says up to there: {', '.join(different)}"
            self._report.defect(KIND, path, message, offset=snapshot_id.end_offset)
        if self._epoch != snapshot_id.epoch:
            message = f"its name says epoch {snapshot_id.epoch}, the log has {self._epoch} there"
            self._report.defect(KIND, path, message, offset=snapshot_id.end_offset)
        self._image, self._delta = replayed, MetadataDelta(replayed)

    def _apply(self) -> MetadataImage | None:
        """What a transaction that never ended changed does not count."""
        if self._delta is None:
            return None
        if self._delta.in_transaction:
            return None
        return self._delta.apply(self._next_offset - 1, self._epoch)

    def finish(self, end_offset: int) -> MetadataImage | None:
        """The image at the log's end, None when the log could not be replayed."""
        self._pass_snapshots(end_offset)
        if self._delta is None and self._snapshots and max(self._snapshots).end_offset >= end_offset:
            return self._snapshots[max(self._snapshots)]
        return self._apply() or (self._image if self._delta is not None else None)
