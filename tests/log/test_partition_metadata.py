"""partition.metadata: whose directory it is."""

from pathlib import Path

import pytest

from pykbroker.ids import Uuid
from pykbroker.log.files import Files
from pykbroker.log.partition_metadata import CorruptPartitionMetadata, read_partition_metadata, write_partition_metadata

TOPIC_ID = Uuid.parse("PEXy-nNgToGi2RBdUPHsjQ")


def test_the_bytes_are_kafkas(tmp_path: Path) -> None:
    write_partition_metadata(Files(), str(tmp_path), TOPIC_ID)
    assert (tmp_path / "partition.metadata").read_bytes() == b"version: 0\ntopic_id: PEXy-nNgToGi2RBdUPHsjQ"
    assert read_partition_metadata(Files(), str(tmp_path)) == TOPIC_ID


def test_no_file_or_what_a_power_cut_left_of_one(tmp_path: Path) -> None:
    assert read_partition_metadata(Files(), str(tmp_path)) is None
    (tmp_path / "partition.metadata").touch()
    assert read_partition_metadata(Files(), str(tmp_path)) is None


@pytest.mark.parametrize(
    "content",
    [
        "version: 0\n",
        "topic_id: PEXy-nNgToGi2RBdUPHsjQ\n",
        "version: 1\ntopic_id: PEXy-nNgToGi2RBdUPHsjQ\n",
        "version: 0\ntopic_id: short\n",
        "version: 0 topic_id: PEXy-nNgToGi2RBdUPHsjQ",
    ],
)
def test_damage_is_told_with_the_file(content: str, tmp_path: Path) -> None:
    (tmp_path / "partition.metadata").write_text(content)
    with pytest.raises(CorruptPartitionMetadata, match=r"partition\.metadata"):
        read_partition_metadata(Files(), str(tmp_path))
