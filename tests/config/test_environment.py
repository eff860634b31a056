"""Names of environment variables, as KafkaDockerWrapper maps them."""

import pytest

from pykbroker.config.environment import is_setting, setting_of, settings


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
