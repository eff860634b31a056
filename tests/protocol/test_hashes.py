"""Java's string hash, murmur2 and what follows from them, against the golden lines."""

import crc32c

from pykbroker.protocol.hashes import java_string_hash, murmur2, partition_for_id, partition_for_key
from tests.golden_data import golden_lines

# The recorder of these four took the lower 31 bits; Kafka 4.3.1 takes the absolute value (GroupCoordinatorService
# .partitionFor → Utils.abs), as all other golden lines do, and as the directories in disk/ lie (test_disk_agrees).
MASKED_BY_THE_RECORDER = {"ünïcødé", "日本語-😀", "topic-1", "my-group"}


def test_golden_lines() -> None:
    strings = blobs = 0
    for line in golden_lines("records/primitives.jsonl.gz"):
        if line["kind"] == "string":
            strings += 1
            data = bytes.fromhex(line["utf8"])
            value = line["value"]
            assert java_string_hash(value) == line["java_hash"]
            if value in MASKED_BY_THE_RECORDER:
                assert line["group_partition_of_50"] == (line["java_hash"] & 0x7FFFFFFF) % 50
            else:
                assert partition_for_id(value, 50) == line["group_partition_of_50"]
        elif line["kind"] == "bytes":
            blobs += 1
            data = bytes.fromhex(line["hex"])
        else:
            continue
        assert murmur2(data) == line["murmur2"]
        assert partition_for_key(data, 12) == line["key_partition_of_12"]
        assert crc32c.crc32c(data) == line["crc32c"]
    assert strings > 50
    assert blobs > 50


def test_disk_agrees() -> None:
    """In golden/disk/clean, Kafka itself put these into these partitions of three; their hashes are negative."""
    placed = {"group-classic": 1, "group-new": 2, "group-simple": 2, "tx-open": 0}
    for name, partition in placed.items():
        assert java_string_hash(name) < 0
        assert partition_for_id(name, 3) == partition


def test_smallest_hash_has_no_absolute_value() -> None:
    assert java_string_hash("polygenelubricants") == -(2**31)
    assert partition_for_id("polygenelubricants", 50) == 0
