"""A snapshot of the metadata log (or bootstrap.checkpoint): whole, readable, and an image of its own."""

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.log.inspection.batches import BadBytes, ByteFile, FoundBatch, scan
from pykbroker.log.inspection.decoding import decode_control, told
from pykbroker.log.inspection.report import Report
from pykbroker.metadata.delta import MetadataDelta, ReplayError
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.metadata_records import parse_record
from pykbroker.raft.snapshot import SnapshotId
from pykbroker.record.reader import iterate_records

KIND = "metadata snapshot"


def check_snapshot(path: str, snapshot_id: SnapshotId | None, report: Report) -> MetadataImage | None:
    """The image that the snapshot holds, None when something is wrong with it. `snapshot_id`: what the file's name
    says, None of bootstrap.checkpoint. Raises OSError."""
    reader = _Reader(path, snapshot_id, report)
    with ByteFile(path) as file:
        for found in scan(file, 0):
            reader.take(found)
        reader.finish(file.size)
    if reader.is_broken:
        return None
    end = snapshot_id if snapshot_id is not None else SnapshotId(0, 0)
    return reader.delta.apply(end.end_offset - 1, end.epoch)


class _Reader:
    def __init__(self, path: str, snapshot_id: SnapshotId | None, report: Report) -> None:
        self.delta = MetadataDelta(MetadataImage.empty())
        self.is_broken = False
        self._path = path
        self._epoch = snapshot_id.epoch if snapshot_id is not None else None
        self._report = report
        self._next_offset = 0
        self._controls: list[str] = []

    def take(self, found: FoundBatch | BadBytes) -> None:
        if isinstance(found, BadBytes):
            self._tell(found.message, found.position, max(found.offset, 0))
            self._next_offset = -1
            return
        header = found.header
        if header is None:
            self._tell(f"a batch of magic {found.magic}", found.position, found.base_offset)
            return
        if self._next_offset not in (-1, found.base_offset):
            message = f"a batch of offset {found.base_offset} where {self._next_offset} comes next"
            self._tell(message, found.position, found.base_offset)
        self._next_offset = found.last_offset + 1
        if self._epoch is None:
            self._epoch = header.partition_leader_epoch
        if header.partition_leader_epoch != self._epoch:
            message = f"leader epoch {header.partition_leader_epoch} in a snapshot of epoch {self._epoch}"
            self._tell(message, found.position, found.base_offset)
        self._read(found, is_control=header.is_control)

    def _read(self, batch: FoundBatch, *, is_control: bool) -> None:
        offset = batch.base_offset
        try:
            for record in iterate_records(batch.data()):
                offset = record.offset
                if is_control:
                    self._controls.append(decode_control(record)["control"])
                    continue
                if self._controls[:1] != ["SNAPSHOT_HEADER"] or self._controls[-1] == "SNAPSHOT_FOOTER":
                    raise ReplayError("a record outside of header and footer")
                self.delta.replay(parse_record(record.value or b"")[0])
        except (KafkaError, MalformedFrame, ReplayError) as error:
            self._tell(told(error), batch.position, offset)

    def finish(self, size: int) -> None:
        if not self.is_broken and self._controls[:1] != ["SNAPSHOT_HEADER"]:
            self._tell("there is no snapshot header", 0, -1)
        elif not self.is_broken and self._controls[-1] != "SNAPSHOT_FOOTER":
            self._tell("the file ends without a snapshot footer", size, -1)
        elif not self.is_broken and self.delta.in_transaction:
            self._tell("the file ends within a metadata transaction", size, -1)

    def _tell(self, message: str, position: int, offset: int) -> None:
        self.is_broken = True
        self._report.defect(KIND, self._path, message, position=position, offset=offset)
