"""All topic configs of Kafka 4.3.1: for each a test that shows its effect, or why it can have none here."""

import re
from pathlib import Path
from typing import Any

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.definitions import TOPIC
from pykbroker.config.validate import validate_topic_overrides
from pykbroker.errors import KafkaError
from pykbroker.log.cleaner_manager import to_clean
from pykbroker.protocol.error_codes import ErrorCode
from tests.golden_data import golden_path
from tests.log.logs import NOW, append, batch, open_log, topic_config

TESTS = Path(__file__).parents[1]
NOT_HERE = "no effect"
# The file and the function of a test that fails when the config is not obeyed.
EFFECTS = {
    "cleanup.policy": ("log/test_retention.py", "test_of_a_topic_with_both_policies"),
    "compression.gzip.level": ("config/test_topic_config_effects.py", "test_levels_of_compression"),
    "compression.lz4.level": ("config/test_topic_config_effects.py", "test_levels_of_compression"),
    "compression.type": ("log/test_validator.py", "test_changes_the_codec"),
    "compression.zstd.level": ("config/test_topic_config_effects.py", "test_levels_of_compression"),
    "delete.retention.ms": ("log/test_cleaner.py", "test_a_tombstone_stays_for_its_retention"),
    "file.delete.delay.ms": ("log/test_unified_log.py", "test_deleted_files_wait_for_their_time"),
    "flush.messages": ("log/test_unified_log.py", "test_after_so_many_messages"),
    "flush.ms": ("log/test_housekeeping_loop.py", "test_logs_that_were_not_flushed_for_their_time"),
    "index.interval.bytes": ("log/test_segment.py", "test_one_when_more_than_the_interval_was_written_before_a_batch"),
    "internal.segment.bytes": ("config/test_dynamic.py", "test_segments_of_tests_may_be_small"),
    "max.compaction.lag.ms": (
        "log/test_cleaner_manager.py",
        "test_a_log_is_due_when_its_oldest_dirty_record_waited_so_long",
    ),
    "max.message.bytes": ("log/test_validator.py", "test_too_large_before_and_after_a_change_of_codec"),
    "message.timestamp.after.max.ms": ("config/test_topic_config_effects.py", "test_timestamps_too_far_away"),
    "message.timestamp.before.max.ms": ("config/test_topic_config_effects.py", "test_timestamps_too_far_away"),
    "message.timestamp.type": ("log/test_validator.py", "test_log_append_time_is_written_into_the_header"),
    "min.cleanable.dirty.ratio": ("config/test_topic_config_effects.py", "test_a_dirty_ratio"),
    "min.compaction.lag.ms": ("log/test_cleaner_manager.py", "test_not_what_is_younger_than_min_compaction_lag"),
    "min.insync.replicas": ("handlers/broker/test_produce_waiting.py", "test_too_few_in_sync"),
    "preallocate": ("log/test_preallocated.py", "test_the_file_is_long_until_the_segment_is_sealed"),
    "retention.bytes": ("log/test_retention.py", "test_what_is_over_goes_as_long_as_enough_stays"),
    "retention.ms": ("log/test_retention.py", "test_the_largest_timestamp_of_a_segment_counts"),
    "segment.bytes": ("log/test_segment.py", "test_size"),
    "segment.index.bytes": ("log/test_segment.py", "test_full_indexes"),
    "segment.jitter.ms": ("log/test_segment.py", "test_jitter_rolls_earlier"),
    "segment.ms": ("log/test_segment.py", "test_time_between_the_first_and_the_new_batch"),
    "unclean.leader.election.enable": ("controller", "unclean"),
    # There is no tiered storage: switching it on is refused, with Kafka's words, and so these say nothing.
    "remote.storage.enable": ("config/test_validate.py", "test_topics_that_cannot_be"),
    "remote.log.copy.disable": NOT_HERE,
    "remote.log.delete.on.disable": NOT_HERE,
    "local.retention.bytes": NOT_HERE,
    "local.retention.ms": NOT_HERE,
    # One broker has nobody to replicate to; they are stored and told.
    "follower.replication.throttled.replicas": NOT_HERE,
    "leader.replication.throttled.replicas": NOT_HERE,
}


def test_none_is_missing() -> None:
    assert set(EFFECTS) == set(TOPIC)
    assert len(EFFECTS) == 34


@pytest.mark.parametrize("name", [name for name, where in EFFECTS.items() if where != NOT_HERE])
def test_its_effect_is_tested(name: str) -> None:
    place, function = EFFECTS[name]
    files = sorted((TESTS / place).rglob("*.py")) if (TESTS / place).is_dir() else [TESTS / place]
    assert any(re.search(rf"def {function}\b|def test_\w*{function}", file.read_text("utf-8")) for file in files)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"segment.bytes": "1048575"}, "segment.bytes: Value must be at least 1048576"),
        ({"segment.index.bytes": "3"}, "segment.index.bytes: Value must be at least 4"),
        ({"segment.ms": "0"}, "segment.ms: Value must be at least 1"),
        ({"segment.jitter.ms": "-1"}, "segment.jitter.ms: Value must be at least 0"),
        ({"index.interval.bytes": "-1"}, "index.interval.bytes: Value must be at least 0"),
        ({"flush.messages": "0"}, "flush.messages: Value must be at least 1"),
        ({"flush.ms": "-1"}, "flush.ms: Value must be at least 0"),
        ({"file.delete.delay.ms": "-1"}, "file.delete.delay.ms: Value must be at least 0"),
        ({"delete.retention.ms": "-1"}, "delete.retention.ms: Value must be at least 0"),
        ({"retention.ms": "-2"}, "retention.ms: Value must be at least -1"),
        ({"min.cleanable.dirty.ratio": "1.5"}, "min.cleanable.dirty.ratio: Value must be no more than 1"),
        ({"max.compaction.lag.ms": "0"}, "max.compaction.lag.ms: Value must be at least 1"),
        ({"cleanup.policy": "shred"}, "cleanup.policy: String must be one of: compact, delete"),
        ({"compression.zstd.level": "23"}, "compression.zstd.level: Value must be no more than 22"),
        ({"local.retention.ms": "-3"}, "local.retention.ms: Value must be at least -2"),
    ],
)
def test_values_that_cannot_be(overrides: dict[str, str], message: str) -> None:
    ((_, value),) = overrides.items()
    with pytest.raises(KafkaError) as caught:
        validate_topic_overrides(overrides, BrokerConfig())
    assert caught.value.code == ErrorCode.INVALID_CONFIG
    assert caught.value.message == f"Invalid value {value} for configuration {message}"


@pytest.mark.parametrize(
    ("codec", "weak", "strong"),
    [("gzip", 1, 9), ("lz4", 1, 12), ("zstd", 1, 19)],
)
def test_levels_of_compression(codec: str, weak: int, strong: int, tmp_path: Path) -> None:
    text = golden_path("README.md").read_bytes() * 3
    sizes = []
    for level in (weak, strong):
        fields: dict[str, Any] = {"compression_type": codec, f"compression_{codec}_level": level}
        log = open_log(tmp_path / f"t-{level}", **fields)
        append(log, batch(value=text), origin="client")
        sizes.append(log.size)
    assert sizes[1] < sizes[0] < len(text)


@pytest.mark.parametrize("name", ["message_timestamp_after_max_ms", "message_timestamp_before_max_ms"])
def test_timestamps_too_far_away(name: str, tmp_path: Path) -> None:
    fields: dict[str, Any] = {name: 1000}
    log = open_log(tmp_path / "t-0", **fields)
    sign = 1 if "after" in name else -1
    append(log, batch((NOW + sign * 1000,)), origin="client")
    with pytest.raises(KafkaError) as caught:
        append(log, batch((NOW + sign * 1001,)), origin="client")
    assert caught.value.code == ErrorCode.INVALID_TIMESTAMP
    log.update_config(topic_config())
    append(log, batch((NOW + sign * 1001,)), origin="client")


def test_a_dirty_ratio(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0", cleanup_policy=["compact"], min_cleanable_dirty_ratio=0.4)
    append(log, batch())
    log.roll(NOW)
    append(log, batch())
    log.roll(NOW)
    log.cleaning.first_dirty_offset = 1  # one of two segments of the same size
    assert to_clean(log, NOW).is_due
    log.update_config(topic_config(cleanup_policy=["compact"], min_cleanable_dirty_ratio=0.6))
    assert not to_clean(log, NOW).is_due
