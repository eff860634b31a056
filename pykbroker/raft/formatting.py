"""What kafka-storage format leaves in a directory: bootstrap.checkpoint, the first voters, meta.properties.

(Formatter, BootstrapDirectory)
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.ids import Uuid
from pykbroker.log.files import Files
from pykbroker.log.log_dir import LogDirError, MetaProperties, prepare, read_meta_properties, write_meta_properties
from pykbroker.protocol.metadata_records import frame_record, parse_record
from pykbroker.raft import control, snapshot

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message
    from pykbroker.raft.dynamic_voters import DynamicVoter

METADATA_DIRECTORY = "__cluster_metadata-0"
# Not in bootstrap.checkpoint: the quorum has a record of its own.
KRAFT_VERSION = "kraft.version"


def write_bootstrap(
    directory: str,
    features: Mapping[str, int],
    now_ms: int,
    files: "Files | None" = None,
    others: "Iterable[Message]" = (),
) -> None:
    """Writes bootstrap.checkpoint with the feature levels of a fresh cluster, in the given order, then `others`.

    Raises OSError.
    """
    from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord

    records: list[Message] = [FeatureLevelRecord(name=n, feature_level=level) for n, level in features.items()]
    values = [frame_record(record, 0) for record in (*records, *others)]
    path = os.path.join(directory, snapshot.BOOTSTRAP_FILE)
    snapshot.write(path, values, epoch=0, timestamp=0, now_ms=now_ms, mode=0o644, files=files)


def read_bootstrap(directory: str) -> "list[Message] | None":
    """The records for a controller with an empty log; None without the file. Raises MalformedFrame, OSError."""
    path = os.path.join(directory, snapshot.BOOTSTRAP_FILE)
    if not os.path.exists(path):
        return None
    return [parse_record(value)[0] for value in snapshot.read(path).values]


def write_first_voters(
    directory: str, voters: "Iterable[DynamicVoter]", listener: str, now_ms: int, files: "Files | None" = None
) -> None:
    """Writes the metadata log's snapshot at offset 0, which makes the quorum a dynamic one. Raises OSError."""
    from pykbroker.raft.dynamic_voters import voters_record

    files = files or Files()
    folder = os.path.join(directory, METADATA_DIRECTORY)
    files.make_directory(folder)
    snapshot.write(
        os.path.join(folder, snapshot.BOOTSTRAP_ID.file_name),
        [],
        epoch=0,
        timestamp=now_ms,
        now_ms=now_ms,
        quorum=control.Quorum(1, voters_record(voters, listener)),
        files=files,
    )


class Formatter(NamedTuple):
    """A node that gets its directories. `voters` None: a static quorum, or one that this node joins later.

    `levels` by feature, metadata.version first; `credentials` are UserScramCredentialRecords; `listener` is the name
    of the controllers' listener.
    """

    node_id: int
    cluster_id: str
    directories: Sequence[str]
    metadata_directory: str
    levels: Mapping[str, int]
    credentials: "Sequence[Message]" = ()
    voters: "Sequence[DynamicVoter] | None" = None
    listener: str = "CONTROLLER"

    def run(self, files: Files, now_ms: int, *, ignore_formatted: bool = False) -> Iterator[tuple[str, str]]:
        """(kind, directory) of each that is about to be formatted, the metadata log's first.

        meta.properties comes last, so that a directory with it is complete. Raises LogDirError before anything is
        written, OSError.
        """
        fresh = self._fresh(files, ignore_formatted=ignore_formatted)
        levels = {name: level for name, level in self.levels.items() if level and name != KRAFT_VERSION}
        for directory in sorted(fresh, key=lambda path: (path != self.metadata_directory, path)):
            yield self._kind(directory), directory
            prepare(directory)
            write_bootstrap(directory, levels, now_ms, files, self.credentials)
            if directory == self.metadata_directory and self.voters is not None:
                write_first_voters(directory, self.voters, self.listener, now_ms, files)
            properties = MetaProperties(self.cluster_id, self.node_id, self._directory_id(directory))
            write_meta_properties(files, directory, properties)

    def _fresh(self, files: Files, *, ignore_formatted: bool) -> list[str]:
        found = {path: _meta_properties(files, path) for path in dict.fromkeys(self.directories)}
        formatted = {path: properties for path, properties in found.items() if properties is not None}
        for path, properties in formatted.items():
            self._check(path, properties)
        if formatted and not ignore_formatted:
            raise LogDirError(
                f"{next(iter(formatted))} is formatted already; --ignore-formatted leaves it as it is and formats "
                "the others"
            )
        return [path for path in found if path not in formatted]

    def _check(self, path: str, properties: MetaProperties) -> None:
        if properties.cluster_id != self.cluster_id:
            raise LogDirError(
                f"{path} belongs to cluster {properties.cluster_id}, not {self.cluster_id}: give that cluster's id, "
                "or name another directory"
            )
        if properties.node_id != self.node_id:
            raise LogDirError(
                f"{path} belongs to node {properties.node_id}, not {self.node_id}: set node.id={properties.node_id}, "
                "or name another directory"
            )

    def _kind(self, directory: str) -> str:
        if directory != self.metadata_directory:
            return "data directory"
        if self.voters is None:
            return "metadata directory"
        return "dynamic metadata voter directory" if self._own_voter() else "dynamic metadata directory"

    def _own_voter(self) -> "DynamicVoter | None":
        return next((voter for voter in self.voters or () if voter.id == self.node_id), None)

    def _directory_id(self, directory: str) -> Uuid:
        """A voter is known by the id of its metadata log's directory."""
        voter = self._own_voter()
        return voter.directory_id if voter and directory == self.metadata_directory else Uuid.random()


def _meta_properties(files: Files, path: str) -> MetaProperties | None:
    """None for a fresh directory, which need not exist. Raises LogDirError."""
    try:
        return read_meta_properties(files, path)
    except OSError as error:
        raise LogDirError(f"the data directory {path} cannot be read: {error.strerror}") from None
