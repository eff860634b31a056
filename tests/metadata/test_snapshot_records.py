from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.metadata.features import INITIAL_FEATURES, record_version
from pykbroker.metadata.image import METADATA_VERSION, MetadataImage
from pykbroker.metadata.snapshot_records import image_to_records
from pykbroker.protocol.metadata_records import frame_record, parse_record
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from tests.metadata.history import CALM, flat, histories, replay

EMPTY = MetadataImage.empty("c")


def through_the_log(records, level):
    """As they come back from a snapshot file."""
    return [parse_record(frame_record(record, record_version(record, level)))[0] for record in records]


@settings(CALM, max_examples=40)
@given(histories(max_steps=40))
def test_an_image_written_and_replayed_is_the_same(batches):
    image = replay(EMPTY, flat(batches), offset=5)
    records = list(image_to_records(image))
    assert replay(EMPTY, through_the_log(records, 30), offset=5) == image


@settings(CALM, max_examples=15)
@given(histories(max_steps=40))
def test_the_log_carries_every_record_whole(batches):
    records = flat(batches)
    assert replay(EMPTY, through_the_log(records, 30)) == replay(EMPTY, records)


@settings(CALM, max_examples=30)
@given(histories(), st.integers(7, 31))
def test_an_older_version_takes_what_it_can_say(batches, level):
    lowered = replay(EMPTY, [*flat(batches), FeatureLevelRecord(name=METADATA_VERSION, feature_level=level)])
    records = list(image_to_records(lowered))
    again = replay(EMPTY, through_the_log(records, level))
    assert again.features == lowered.features
    assert again.topics.names() == lowered.topics.names()
    assert again.configs == lowered.configs
    assert again.brokers.keys() == lowered.brokers.keys()
    assert replay(EMPTY, through_the_log(list(image_to_records(again)), level)) == again


def test_metadata_version_comes_first():
    others = {"a.feature": 1, **dict(reversed(INITIAL_FEATURES.items()))}
    image = replay(EMPTY, [FeatureLevelRecord(name=name, feature_level=level) for name, level in others.items()])
    first = next(image_to_records(image))
    assert isinstance(first, FeatureLevelRecord)
    assert first.name == METADATA_VERSION


def test_an_empty_image_is_no_records():
    assert list(image_to_records(EMPTY)) == []
