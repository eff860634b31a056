"""The rows of any file of a data directory. (DumpLogSegments, and what kafka-dump-log does not know)"""

from collections.abc import Iterator

from pykbroker.log.files import Files
from pykbroker.log.inspection.dump_batches import dump_batches
from pykbroker.log.inspection.dump_files import dump_file
from pykbroker.log.inspection.kinds import Kind, Recognised
from pykbroker.log.inspection.row import DumpOptions, Row, damage
from pykbroker.log.inspection.text_files import FlawedFile
from pykbroker.raft.inspection.quorum_file import read_quorum_state


def dump(path: str, recognised: Recognised, options: DumpOptions) -> Iterator[Row]:
    """Raises OSError."""
    kind, base_offset, records = recognised
    if kind in (Kind.SEGMENT, Kind.METADATA_SNAPSHOT):
        is_snapshot = kind is Kind.METADATA_SNAPSHOT  # whose records count from 0, whatever its name says
        yield from dump_batches(path, 0 if is_snapshot else base_offset, records, options)
    elif kind is Kind.QUORUM_STATE:
        yield from _quorum_state(Files().read_bytes(path))
    else:
        yield from dump_file(kind, Files().read_bytes(path), base_offset, options)


def _quorum_state(data: bytes) -> Iterator[Row]:
    try:
        yield {"row": "file", **read_quorum_state(data)}
    except FlawedFile as error:
        yield damage(*error.flaw)
