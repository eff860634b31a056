import pytest

from pykbroker.metadata import features
from pykbroker.protocol.persisted.metadata.broker_registration_change_record import BrokerRegistrationChangeRecord
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.register_broker_record import RegisterBrokerRecord
from tests.metadata.history import uuid

# MetadataVersion: name → level.
LEVELS = {"3.3-IV3": 7, "3.6-IV1": 13, "3.7-IV0": 15, "3.7-IV2": 17, "4.0-IV0": 22, "4.0-IV1": 23, "4.3-IV0": 30}


def test_names_count_on_from_the_minimum():
    for name, level in LEVELS.items():
        assert features.METADATA_VERSION_NAMES[level - features.MINIMUM_METADATA_VERSION] == name
    last = features.MINIMUM_METADATA_VERSION + len(features.METADATA_VERSION_NAMES) - 1
    assert last == features.LAST_KNOWN_METADATA_VERSION


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (features.allows_transactions, "3.6-IV1"),
        (features.allows_controller_registration, "3.7-IV0"),
        (features.allows_directories, "3.7-IV2"),
        (features.allows_elr_records, "4.0-IV1"),
        (features.allows_cordoned_directories, "4.3-IV0"),
    ],
)
def test_each_level_allows_what_it_introduced(rule, name):
    assert rule(LEVELS[name])
    assert not rule(LEVELS[name] - 1)


def test_an_isr_shrink_bumped_the_epoch_before_3_6():
    assert features.bumps_epoch_on_isr_shrink(11)
    assert not features.bumps_epoch_on_isr_shrink(12)


@pytest.mark.parametrize(
    ("record", "level", "version"),
    [
        (PartitionRecord(), 16, 0),
        (PartitionRecord(), 17, 1),
        (PartitionRecord(), 23, 2),
        (PartitionChangeRecord(), 16, 0),
        (PartitionChangeRecord(), 30, 2),
        (RegisterBrokerRecord(), 7, 1),
        (RegisterBrokerRecord(), 8, 2),
        (RegisterBrokerRecord(), 17, 3),
        (RegisterBrokerRecord(), 30, 4),
        (BrokerRegistrationChangeRecord(fenced=1), 30, 0),
        (BrokerRegistrationChangeRecord(in_controlled_shutdown=1), 30, 1),
        (BrokerRegistrationChangeRecord(log_dirs=[uuid(1)]), 30, 2),
        (BrokerRegistrationChangeRecord(cordoned_log_dirs=[]), 30, 3),
        (ConfigRecord(), 30, 0),
    ],
)
def test_records_are_written_in_kafkas_versions(record, level, version):
    assert features.record_version(record, level) == version


def test_a_fresh_cluster_has_only_what_is_supported():
    for name, level in features.INITIAL_FEATURES.items():
        low, high = features.SUPPORTED_FEATURES[name]
        assert low <= level <= high


@pytest.mark.parametrize(
    ("name", "fetch", "list_offsets"),
    [
        ("3.3-IV3", 13, 7),
        ("3.4-IV0", 13, 7),
        ("3.5-IV0", 14, 8),
        ("3.5-IV1", 15, 8),
        ("3.7-IV3", 15, 8),
        ("3.7-IV4", 16, 8),
        ("3.9-IV0", 17, 9),
        ("4.0-IV2", 17, 9),
        ("4.0-IV3", 17, 10),
        ("4.1-IV0", 17, 10),
        ("4.1-IV1", 18, 10),
        ("4.2-IV0", 18, 10),
        ("4.2-IV1", 18, 11),
        ("4.3-IV0", 18, 11),
    ],
)
def test_followers_ask_in_the_versions_of_their_metadata_version(name, fetch, list_offsets):
    level = features.METADATA_VERSION_NAMES.index(name) + features.MINIMUM_METADATA_VERSION
    assert features.fetch_request_version(level) == fetch
    assert features.list_offsets_request_version(level) == list_offsets
