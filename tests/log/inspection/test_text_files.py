"""Text files read strictly, with the byte of what is wrong."""

from collections.abc import Callable

import pytest

from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.inspection.text_files import (
    FlawedFile,
    epoch_flaws,
    parse_epoch_line,
    parse_offset_line,
    read_checkpoint,
    read_clean_shutdown,
    read_meta_properties,
    read_topic_id,
)

ID = Uuid(range(16))
PROPERTIES = b"#\n#Mon Nov 23\nnode.id=1\ndirectory.id=%b\nversion=1\ncluster.id=abc\n" % str(ID).encode()


def flaw_at(read: Callable[[bytes], object], data: bytes) -> int:
    with pytest.raises(FlawedFile) as caught:
        read(data)
    return caught.value.flaw.position


def offsets(data: bytes) -> object:
    return read_checkpoint(data, parse_offset_line)


def test_offset_checkpoint() -> None:
    lines = read_checkpoint(b"0\n2\na 0 5\nb.c-d_E 11 -1\n", parse_offset_line)
    assert [(line.position, line.topic_partition, line.offset) for line in lines] == [
        (4, TopicPartition("a", 0), 5),
        (10, TopicPartition("b.c-d_E", 11), -1),
    ]
    assert offsets(b"") == []


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (b"1\n1\na 0 5\n", 0),
        (b"0", 1),
        (b"0\n2\na 0 5\n", 2),
        (b"0\nx\na 0 5\n", 2),
        (b"0\n1\na 0\n", 4),
        (b"0\n1\na 0  5\n", 4),
        (b"0\n1\na/b 0 5\n", 4),
        (b"0\n1\na 0 5\x0b\n", 4),
        (b"0\n1\na 0 +5\n", 4),
        (b"0\n1\na 0 5", 9),
    ],
)
def test_flawed_checkpoints(data: bytes, position: int) -> None:
    assert flaw_at(offsets, data) == position


def test_leader_epochs_ascend() -> None:
    entries = read_checkpoint(b"0\n3\n0 0\n2 10\n3 10\n", parse_epoch_line)
    assert [(entry.epoch, entry.start_offset) for entry in entries] == [(0, 0), (2, 10), (3, 10)]
    assert [flaw.position for flaw in epoch_flaws(entries)] == [13]
    assert epoch_flaws(entries[:2]) == []


def test_partition_metadata() -> None:
    assert read_topic_id(f"version: 0\ntopic_id: {ID}".encode()) == ID
    assert flaw_at(read_topic_id, b"") == 0
    assert flaw_at(read_topic_id, b"version: 1\ntopic_id: x") == 0
    assert flaw_at(read_topic_id, b"version: 0\n") == 10
    assert flaw_at(read_topic_id, f"version: 0\ntopic_id: {ID}".encode()[:-1]) == 11
    # The last character has bits that no uuid has.
    assert flaw_at(read_topic_id, f"version: 0\ntopic_id: {str(ID)[:-1]}x".encode()) == 11


def test_meta_properties() -> None:
    assert {name: found.value for name, found in read_meta_properties(PROPERTIES).items()} == {
        "node.id": "1",
        "directory.id": str(ID),
        "version": "1",
        "cluster.id": "abc",
    }
    at = PROPERTIES.index
    assert flaw_at(read_meta_properties, PROPERTIES[:-1]) == len(PROPERTIES) - 1
    assert flaw_at(read_meta_properties, PROPERTIES[: at(b"cluster")]) == at(b"cluster")
    assert flaw_at(read_meta_properties, PROPERTIES.replace(b"version=1", b"version=0")) == at(b"version")
    assert flaw_at(read_meta_properties, PROPERTIES.replace(b"node.id=1", b"node.id=x")) == at(b"node")
    assert flaw_at(read_meta_properties, PROPERTIES.replace(b"directory.id", b"directory_id")) == at(b"directory")
    assert flaw_at(read_meta_properties, PROPERTIES.replace(b"version=1", b"version-1")) == at(b"version")


def test_clean_shutdown() -> None:
    assert read_clean_shutdown(b'{"version":0,"brokerEpoch":12}') == 12
    assert read_clean_shutdown(b"") == -1
    assert flaw_at(read_clean_shutdown, b'{"version":0,"brokerEpoch":12') == 29
    assert flaw_at(read_clean_shutdown, b'{"version":1,"brokerEpoch":12}') == 0
    assert flaw_at(read_clean_shutdown, b'{"version":0}') == 0
    assert flaw_at(read_clean_shutdown, b"[]") == 0
    assert flaw_at(read_clean_shutdown, b'"\xff"') == 0
