import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykbroker.metadata.delta import _REPLAY, MetadataDelta, ReplayError, full_delta
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.persisted.metadata.abort_transaction_record import AbortTransactionRecord
from pykbroker.protocol.persisted.metadata.begin_transaction_record import BeginTransactionRecord
from pykbroker.protocol.persisted.metadata.broker_registration_change_record import BrokerRegistrationChangeRecord
from pykbroker.protocol.persisted.metadata.clear_elr_record import ClearElrRecord
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.protocol.persisted.metadata.end_transaction_record import EndTransactionRecord
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.register_broker_record import RegisterBrokerRecord
from pykbroker.protocol.persisted.metadata.remove_access_control_entry_record import RemoveAccessControlEntryRecord
from pykbroker.protocol.persisted.metadata.remove_topic_record import RemoveTopicRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from pykbroker.protocol.persisted.metadata.unfence_broker_record import UnfenceBrokerRecord
from pykbroker.protocol.record_types import RECORD_TYPES
from tests.metadata.history import CALM, flat, histories, replay, uuid

EMPTY = MetadataImage.empty("c")
TOPIC = uuid(1)
TWO_PARTITIONS = [
    TopicRecord(name="t", topic_id=TOPIC),
    *(
        PartitionRecord(partition_id=i, topic_id=TOPIC, replicas=[1], isr=[1], leader=1, directories=[uuid(9)])
        for i in range(2)
    ),
    ConfigRecord(resource_type=2, resource_name="t", name="x", value="1"),
]


def deep(image):
    """A copy that no change of a shared part can reach."""
    return copy.deepcopy(
        (
            image._replace(topics=None, configs=None),
            dict(image.topics.ids),
            dict(image.topics.by_name),
            dict(image.configs.resources),
        )
    )


@CALM
@given(histories(), st.randoms(use_true_random=False))
def test_one_delta_or_many_make_the_same_image_and_touch_no_older_one(batches, random):
    whole = replay(EMPTY, flat(batches))
    image, records, older = EMPTY, flat(batches), []
    while records:
        count = random.randint(1, len(records))
        older.append((image, deep(image)))
        image = replay(image, records[:count])
        records = records[count:]
    assert image == whole
    assert dict(image.topics.by_name) == {topic.name: topic for topic in image.topics}
    for before, copied in older:
        assert deep(before) == copied


@CALM
@given(histories(), st.randoms(use_true_random=False), st.booleans())
def test_an_aborted_transaction_leaves_nothing_and_an_ended_one_all(batches, random, is_aborted):
    begin, end = sorted(random.choices(range(1, len(batches) + 1), k=2))
    before, inside, after = flat(batches[:begin]), flat(batches[begin:end]), flat(batches[end:])
    last = AbortTransactionRecord() if is_aborted else EndTransactionRecord()
    records = [*before, BeginTransactionRecord(), *inside, last]
    if is_aborted:
        delta, expected = MetadataDelta(EMPTY), MetadataDelta(EMPTY)
        for record in records:
            delta.replay(record)
        for record in before:
            expected.replay(record)
        assert (delta.changed_topics, delta.deleted_topics) == (expected.changed_topics, expected.deleted_topics)
        assert (delta.changed_configs, delta.changed_parts) == (expected.changed_configs, expected.changed_parts)
        assert delta.apply(0, 1) == expected.apply(0, 1)
    else:
        assert replay(EMPTY, [*records, *after]) == replay(EMPTY, flat(batches))


@CALM
@given(histories(), histories())
def test_a_delta_names_everything_that_differs(first, second):
    base = replay(EMPTY, flat(first))
    delta = MetadataDelta(base)
    for record in flat(second):
        try:
            delta.replay(record)
        except ReplayError:
            break  # the second history knows nothing of the first
    image = delta.apply(1, 1)
    topics = {*base.topics.ids, *image.topics.ids}
    differ = {topic for topic in topics if base.topics.by_id(topic) != image.topics.by_id(topic)}
    assert differ <= delta.changed_topics | delta.deleted_topics.keys()
    assert all(image.topics.by_id(topic) is not None for topic in delta.changed_topics)
    assert delta.deleted_topics == {topic.id: topic for topic in base.topics if image.topics.by_id(topic.id) is None}
    for resource in {*base.configs.resources, *image.configs.resources}:
        if base.configs.overrides(*resource) != image.configs.overrides(*resource):
            assert resource in delta.changed_configs
    for part in ("features", "brokers", "controllers", "client_quotas", "acls", "scram", "delegation_tokens"):
        if getattr(base, part) != getattr(image, part):
            assert part in delta.changed_parts
        else:
            assert part in delta.changed_parts or getattr(base, part) is getattr(image, part)


def test_every_record_of_kafka_is_known():
    assert sorted(_REPLAY) == sorted(names[1] for names in RECORD_TYPES["metadata"].values())


def test_an_unknown_record_is_an_error():
    with pytest.raises(ReplayError, match="unknown metadata record"):
        MetadataDelta(EMPTY).replay(_NewRecord())


class _NewRecord:
    pass


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([RemoveTopicRecord(topic_id=TOPIC)], "no topic has id"),
        ([PartitionRecord(topic_id=TOPIC, partition_id=0)], "no topic has id"),
        ([PartitionChangeRecord(topic_id=TOPIC, partition_id=0)], "no topic has id"),
        ([*TWO_PARTITIONS, PartitionChangeRecord(topic_id=TOPIC, partition_id=2)], "no partition 2"),
        ([*TWO_PARTITIONS, TopicRecord(name="t", topic_id=uuid(2))], "exists already"),
        ([ClearElrRecord(topic_name="t")], "no topic t"),
        ([UnfenceBrokerRecord(id=1, epoch=1)], "not registered"),
        ([RegisterBrokerRecord(broker_id=1, broker_epoch=5), UnfenceBrokerRecord(id=1, epoch=4)], "does not match"),
        (
            [
                RegisterBrokerRecord(broker_id=1, broker_epoch=5),
                BrokerRegistrationChangeRecord(broker_id=1, broker_epoch=5, fenced=2),
            ],
            "unknown value",
        ),
        ([RemoveAccessControlEntryRecord(id=uuid(1))], "no access control entry"),
        ([FeatureLevelRecord(name="metadata.version", feature_level=6)], "outside 7 to"),
        ([FeatureLevelRecord(name="metadata.version", feature_level=99)], "outside 7 to"),
        ([EndTransactionRecord()], "without a transaction"),
        ([AbortTransactionRecord()], "without a transaction"),
        ([BeginTransactionRecord(), BeginTransactionRecord()], "inside another"),
        (
            [
                TopicRecord(name="t", topic_id=TOPIC),
                PartitionRecord(topic_id=TOPIC, partition_id=0, replicas=[1, 2], directories=[uuid(9)]),
            ],
            "1 directories for 2 replicas",
        ),
    ],
)
def test_a_record_that_does_not_fit_is_an_error(records, message):
    delta = MetadataDelta(EMPTY)
    for record in records[:-1]:
        delta.replay(record)
    with pytest.raises(ReplayError, match=message):
        delta.replay(records[-1])


def test_no_image_is_made_inside_a_transaction():
    delta = MetadataDelta(EMPTY)
    delta.replay(BeginTransactionRecord())
    assert delta.in_transaction
    with pytest.raises(ReplayError, match="has not ended"):
        delta.apply(0, 0)


def test_a_topic_takes_its_configs_along():
    base = replay(EMPTY, TWO_PARTITIONS)
    delta = MetadataDelta(base)
    delta.replay(RemoveTopicRecord(topic_id=TOPIC))
    image = delta.apply(1, 1)
    assert "t" not in image.topics
    assert image.configs.resources == {}
    assert delta.changed_configs == {(2, "t")}
    assert delta.deleted_topics == {TOPIC: base.topics.get("t")}


def test_a_topic_that_came_and_went_in_one_delta_was_never_there():
    delta = MetadataDelta(EMPTY)
    for record in [*TWO_PARTITIONS, RemoveTopicRecord(topic_id=TOPIC)]:
        delta.replay(record)
    assert (delta.changed_topics, delta.deleted_topics) == (set(), {})
    assert len(delta.apply(0, 0).topics) == 0


def test_a_topic_made_anew_under_its_name_is_another():
    base = replay(EMPTY, TWO_PARTITIONS)
    delta = MetadataDelta(base)
    delta.replay(RemoveTopicRecord(topic_id=TOPIC))
    delta.replay(TopicRecord(name="t", topic_id=uuid(2)))
    image = delta.apply(1, 1)
    assert image.topics.get("t").id == uuid(2)
    assert delta.changed_topics == {uuid(2)}
    assert set(delta.deleted_topics) == {TOPIC}


def test_clearing_the_elr_changes_only_partitions_that_have_one():
    base = replay(EMPTY, [*TWO_PARTITIONS, PartitionChangeRecord(topic_id=TOPIC, partition_id=1, last_known_elr=[3])])
    delta = MetadataDelta(base)
    delta.replay(ClearElrRecord())
    partitions = delta.apply(1, 1).topics.get("t").partitions
    assert partitions[0] is base.topics.get("t").partitions[0]
    assert partitions[1].last_known_elr == ()
    assert partitions[1].partition_epoch == base.topics.get("t").partitions[1].partition_epoch + 1
    delta = MetadataDelta(replay(EMPTY, TWO_PARTITIONS))
    delta.replay(ClearElrRecord())
    assert delta.changed_topics == set()


def test_kraft_version_is_no_feature_of_the_image():
    image = replay(EMPTY, [FeatureLevelRecord(name="kraft.version", feature_level=1)])
    assert image.features.finalized == {}


def test_level_0_is_no_feature():
    image = replay(EMPTY, [FeatureLevelRecord(name="group.version", feature_level=1)])
    assert image.features.level("group.version") == 1
    image = replay(image, [FeatureLevelRecord(name="group.version", feature_level=0)])
    assert image.features.finalized == {}


def test_the_full_delta_names_all_there_is():
    image = replay(EMPTY, TWO_PARTITIONS, offset=7)
    delta = full_delta(image)
    assert delta.base == MetadataImage.empty("c")
    assert delta.changed_topics == {TOPIC}
    assert delta.changed_configs == {(2, "t")}
    assert {"features", "brokers", "producer_ids", "acls"} <= delta.changed_parts
