"""partition.metadata: which topic id a partition's directory belongs to. (PartitionMetadataFile, KIP-516)"""

from pykbroker.ids import Uuid
from pykbroker.log.files import Files

FILE_NAME = "partition.metadata"


class CorruptPartitionMetadata(Exception):
    """The file is there but does not say a topic id."""


def write_partition_metadata(files: Files, directory: str, topic_id: Uuid) -> None:
    """Raises OSError. Not synced: what a power cut takes the metadata log knows too."""
    text = f"version: 0\ntopic_id: {topic_id}"
    files.write_atomically(f"{directory}/{FILE_NAME}", text.encode(), sync=False)


def read_partition_metadata(files: Files, directory: str) -> Uuid | None:
    """The topic id, None when there is no file, or an empty one. Raises CorruptPartitionMetadata."""
    path = f"{directory}/{FILE_NAME}"
    try:
        text = files.read_bytes(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    if not text:
        return None
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    try:
        if fields["version"] != "0":
            raise ValueError(f"unknown version {fields['version']}")
        return Uuid.parse(fields["topic_id"])
    except KeyError as missing:
        raise CorruptPartitionMetadata(f"{path}: {missing} is missing") from None
    except ValueError as error:
        raise CorruptPartitionMetadata(f"{path}: {error}") from None
