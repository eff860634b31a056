"""Names of environment variables, as KafkaDockerWrapper maps them."""

import pytest

from pykbroker.config.environment import cluster_id, is_setting, setting_of, settings
from pykbroker.config.errors import ConfigError


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("KAFKA_LOG_SEGMENT_BYTES", "log.segment.bytes"),
        ("KAFKA_NODE_ID", "node.id"),
        ("KAFKA_SUPER__USERS", "super_users"),
        ("KAFKA_A___B", "a-b"),
        ("KAFKA_LISTENER_NAME_PLAIN___HOST_SASL_JAAS_CONFIG", "listener.name.plain-host.sasl.jaas.config"),
        ("KAFKA_KAFKA_METRICS_REPORTERS", "kafka.metrics.reporters"),
    ],
)
def test_names(variable: str, name: str) -> None:
    assert is_setting(variable)
    assert setting_of(variable) == name


@pytest.mark.parametrize(
    "variable",
    [
        "PATH",
        "KAFKA_",
        "CLUSTER_ID",
        "KAFKA_CLUSTER_ID",
        "KAFKA_HEAP_OPTS",
        "KAFKA_OPTS",
        "KAFKA_JMX_OPTS",
        "KAFKA_JMX_HOSTNAME",
        "KAFKA_JVM_PERFORMANCE_OPTS",
        "KAFKA_GC_LOG_OPTS",
        "KAFKA_LOG4J_OPTS",
        "KAFKA_LOG4J_ROOT_LOGLEVEL",
        "KAFKA_LOG4J_LOGGERS",
        "KAFKA_TOOLS_LOG4J_LOGLEVEL",
        "KAFKA_VERSION",
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_SSL_KEYSTORE_FILENAME",
        "KAFKA_PORT",
        "KAFKA_PORT_9092_TCP_ADDR",
        "KAFKA_SERVICE_HOST",
        "KAFKA_BROKER_SERVICE_PORT_CLIENT",
    ],
)
def test_what_is_no_setting(variable: str) -> None:
    assert not is_setting(variable)


def test_settings_in_order() -> None:
    environ = {"KAFKA_NUM_PARTITIONS": "3", "HOME": "/", "KAFKA_LOG_DIRS": "/d", "KAFKA_OPTS": "-X"}
    assert list(settings(environ)) == [
        ("KAFKA_LOG_DIRS", "log.dirs", "/d"),
        ("KAFKA_NUM_PARTITIONS", "num.partitions", "3"),
    ]


@pytest.mark.parametrize("value", ["MkU3OEVBNTcwNTJENDM2Qg", "5L6g3nShT-eMCtK--X86sw", "my.own_cluster"])
def test_the_cluster_id_is_that_of_kafkas_image(value: str) -> None:
    assert cluster_id({"CLUSTER_ID": value}) == value


def test_without_the_variable_no_cluster_id_is_given() -> None:
    assert cluster_id({"KAFKA_CLUSTER_ID": "x"}) is None


@pytest.mark.parametrize("value", ["", "two words", "a=b", "ü", "a\n"])
def test_a_cluster_id_that_is_no_word_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^CLUSTER_ID=.*: a cluster id is one word"):
        cluster_id({"CLUSTER_ID": value})
