"""Where values come from. What the real Kafka says is held by tests/handlers/broker/test_describe_configs.py."""

from pykbroker.config import describe
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.describe import ConfigEntry, Synonym
from pykbroker.config.dynamic import BrokerLevels, config_of, levels_of
from pykbroker.config.topic_config import GroupConfig, TopicConfig
from pykbroker.config.types import LONG, PASSWORD, STRING
from pykbroker.metadata.image import BROKER_RESOURCE, MetadataImage
from pykbroker.protocol.enums import ConfigSource
from tests.config.images import image_of

TOPIC, BROKER, CLUSTER, STATIC, DEFAULT = range(1, 6)


def levels(**static: str) -> BrokerLevels:
    return BrokerLevels({}, {}, {name.replace("_", "."): value for name, value in static.items()})


def entry(entries: list[ConfigEntry], name: str) -> ConfigEntry:
    (found,) = [entry for entry in entries if entry.name == name]
    return found


def test_synonyms_from_the_nearest_to_the_farthest() -> None:
    found = BrokerLevels({"log.retention.ms": "1"}, {"log.retention.ms": "2"}, {"log.retention.hours": "3"})
    assert describe.level_synonyms(found, "log.retention.ms") == [
        Synonym("log.retention.ms", "1", BROKER),
        Synonym("log.retention.ms", "2", CLUSTER),
        Synonym("log.retention.hours", "3", STATIC),
        Synonym("log.retention.hours", "168", DEFAULT),
    ]


def test_a_synonym_alone_does_not_count() -> None:
    found = levels(log_retention_hours="24")
    assert describe.level_synonyms(found, "log.retention.ms") == []
    topic = TopicConfig.build(BrokerConfig(found.static))
    assert entry(describe.describe_topic(topic, found), "retention.ms") == (
        ConfigEntry("retention.ms", str(24 * 3_600_000), DEFAULT, [], LONG)
    )


def test_secrets_are_never_told() -> None:
    config = BrokerConfig({"ssl.keystore.password": "hunter2", "made.up": "hunter3"})
    entries = describe.describe_broker(config, BrokerLevels({}, {}, config.texts))
    password = entry(entries, "ssl.keystore.password")
    assert password == ConfigEntry(
        "ssl.keystore.password", None, STATIC, [Synonym("ssl.keystore.password", None, STATIC)], PASSWORD, True, False
    )
    unknown = entry(entries, "made.up")
    assert unknown == ConfigEntry("made.up", None, STATIC, [Synonym("made.up", None, STATIC)], 0, True, True)
    assert "hunter" not in repr(entries)


def test_configs_of_a_listener() -> None:
    name = "listener.name.plaintext.ssl.keystore.type"
    config = BrokerConfig({name: "PEM"})
    assert entry(describe.describe_broker(config, BrokerLevels({name: "PEM"}, {}, {})), name) == ConfigEntry(
        name,
        "PEM",
        BROKER,
        [Synonym(name, "PEM", BROKER), Synonym("ssl.keystore.type", "JKS", DEFAULT)],
        STRING,
        False,
        True,
    )


def test_the_cluster_default_tells_of_itself_only() -> None:
    found = BrokerLevels({"log.retention.ms": "1"}, {"log.retention.ms": "2"}, {"log.retention.ms": "3"})
    assert describe.describe_cluster_default(found) == [
        ConfigEntry("log.retention.ms", "2", CLUSTER, [Synonym("log.retention.ms", "2", CLUSTER)], LONG)
    ]


def test_an_override_of_a_group_comes_first() -> None:
    name = "consumer.session.timeout.ms"
    found = levels(**{f"group_{name}".replace(".", "_"): "50000"})
    group = GroupConfig.build(BrokerConfig(found.static), {name: "60000"})
    told = entry(describe.describe_group(group, found), name)
    assert (told.value, told.source) == ("60000", ConfigSource.GROUP_CONFIG)
    assert [synonym.value for synonym in told.synonyms] == ["60000", "50000", "45000"]


def test_client_metrics() -> None:
    entries = describe.describe_client_metrics({"match": "client_id=a,client_id=a"})
    assert [(e.name, e.value, e.source) for e in entries] == [
        ("interval.ms", "300000", DEFAULT),
        ("match", "client_id=a", ConfigSource.CLIENT_METRICS_CONFIG),
        ("metrics", "", DEFAULT),
    ]


def test_a_new_topic_is_told_all_its_configs_by_name() -> None:
    entries = describe.describe_new_topic(BrokerConfig(), MetadataImage.empty(), {"retention.ms": "5"})
    assert [e.name for e in entries] == sorted(e.name for e in entries)
    assert len(entries) == 33
    assert entry(entries, "retention.ms") == ConfigEntry("retention.ms", "5", TOPIC, [], LONG)
    assert entry(entries, "segment.ms") == ConfigEntry("segment.ms", "604800000", DEFAULT, [], LONG)


def test_a_new_topic_is_told_where_its_configs_come_from() -> None:
    static = BrokerConfig({"log.retention.hours": "2", "log.segment.bytes": "2000000", "node.id": "3"})
    image = image_of({(BROKER_RESOURCE, ""): {"log.roll.ms": "7"}, (BROKER_RESOURCE, "3"): {"message.max.bytes": "9"}})
    entries = describe.describe_new_topic(static, image, {})
    assert {e.name: (e.value, e.source) for e in entries if e.source != DEFAULT} == {
        "retention.ms": ("7200000", STATIC),
        "segment.bytes": ("2000000", STATIC),
        "segment.ms": ("7", CLUSTER),
        "max.message.bytes": ("9", BROKER),
    }


def test_every_described_value_is_the_one_that_counts() -> None:
    static = BrokerConfig({"log.retention.minutes": "3", "log.cleanup.policy": "compact,delete"})
    image = image_of({(BROKER_RESOURCE, "1"): {"log.segment.bytes": "2000000"}})
    topic = TopicConfig.build(config_of(static, image, 1), {"preallocate": "TRUE"})
    told = {e.name: e.value for e in describe.describe_topic(topic, levels_of(static, image, 1))}
    assert (told["retention.ms"], told["cleanup.policy"]) == ("180000", "compact,delete")
    assert (told["segment.bytes"], told["preallocate"]) == ("2000000", "true")
