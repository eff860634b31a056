"""Kafka's names of things, printed as Kafka prints them."""

import os

import pytest

from pykbroker.ids import METADATA_TOPIC_ID, ZERO_UUID, TopicIdPartition, TopicPartition, Uuid


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (bytes(16), "AAAAAAAAAAAAAAAAAAAAAA"),
        (bytes(15) + b"\1", "AAAAAAAAAAAAAAAAAAAAAQ"),
        (b"\xff" * 16, "_____________________w"),
        (bytes.fromhex("fbefbefbefbefbefbefbefbefbefbefb"), "-" * 21 + "w"),
    ],
)
def test_uuids_are_url_safe_base64_without_padding(raw: bytes, text: str) -> None:
    assert str(Uuid(raw)) == text
    assert Uuid.parse(text) == raw


def test_every_uuid_is_read_back() -> None:
    for _ in range(100):
        uuid = Uuid(os.urandom(16))
        assert Uuid.parse(str(uuid)) == uuid


@pytest.mark.parametrize(
    "text", ["", "AAAA", "A" * 21, "A" * 23, "A" * 24, "A" * 21 + "+", "A" * 21 + "/", "A" * 21 + "é"]
)
def test_what_is_no_uuid(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Kafka uuid"):
        Uuid.parse(text)


def test_random_uuids_are_version_4_and_never_begin_with_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([b"\xf8" + bytes(15), b"\x01" * 16])  # the first would begin with a dash
    monkeypatch.setattr(os, "urandom", lambda _: next(drawn))
    uuid = Uuid.random()
    assert uuid[0] == 1
    assert (uuid[6] >> 4, uuid[8] >> 6) == (4, 2)
    assert not str(uuid).startswith("-")


def test_reserved_uuids() -> None:
    assert str(ZERO_UUID) == "AAAAAAAAAAAAAAAAAAAAAA"
    assert str(METADATA_TOPIC_ID) == "AAAAAAAAAAAAAAAAAAAAAQ"


def test_partitions_are_printed_as_their_directories_are_called() -> None:
    partition = TopicIdPartition(METADATA_TOPIC_ID, "a-b", 3)
    assert partition.topic_partition == TopicPartition("a-b", 3)
    assert str(partition.topic_partition) == "a-b-3"
    assert str(partition) == "a-b-3 (AAAAAAAAAAAAAAAAAAAAAQ)"
