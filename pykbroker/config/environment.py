"""Settings in environment variables, named as Kafka's own container image names them (KafkaDockerWrapper)."""

import re
from collections.abc import Iterator, Mapping

from pykbroker.config.errors import ConfigError

PREFIX = "KAFKA_"
CLUSTER_ID = "CLUSTER_ID"

# What scripts of the image and of Kafka read, and what programs beside a broker are told of it.
_NOT_SETTINGS = frozenset(
    {
        "KAFKA_BOOTSTRAP",
        "KAFKA_BOOTSTRAP_SERVER",
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_BROKER",
        "KAFKA_BROKERS",
        "KAFKA_BROKER_URL",
        "KAFKA_CLUSTER_ID",
        "KAFKA_DEBUG",
        "KAFKA_GC_LOG_OPTS",
        "KAFKA_HEAP_OPTS",
        "KAFKA_HOME",
        "KAFKA_HOST",
        "KAFKA_MODE",
        "KAFKA_OPTS",
        "KAFKA_ORACLE",  # where our tools/oracle keeps Kafka's jars
        "KAFKA_PORT",
        "KAFKA_SECURITY_PROTOCOL",
        "KAFKA_URL",
        "KAFKA_VERSION",
    }
)
_NOT_SETTINGS_PREFIXES = ("KAFKA_JMX_", "KAFKA_JVM_", "KAFKA_LOG4J_", "KAFKA_TOOLS_", "KAFKA_SERVICE_")
# Files of secrets that the image's start script turns into settings.
_IMAGE_SECRETS = r"KAFKA_SSL_.*_(FILENAME|CREDENTIALS)"
# Kubernetes tells every container of a service named kafka: KAFKA_PORT_9092_TCP_ADDR, KAFKA_BROKER_SERVICE_HOST.
_KUBERNETES = r"KAFKA_(.+_)?(PORT(_[0-9]+_(TCP|UDP).*)?|SERVICE_(HOST|PORT).*)"


def is_setting(variable: str) -> bool:
    return (
        variable.startswith(PREFIX)
        and len(variable) > len(PREFIX)
        and variable not in _NOT_SETTINGS
        and not variable.startswith(_NOT_SETTINGS_PREFIXES)
        and not re.fullmatch(_IMAGE_SECRETS, variable)
        and not re.fullmatch(_KUBERNETES, variable)
    )


def setting_of(variable: str) -> str:
    """KAFKA_LOG_SEGMENT_BYTES → log.segment.bytes; two underscores stand for one, three for a dash."""
    dotted = variable.removeprefix(PREFIX).lower().replace("_", ".")
    return dotted.replace("...", "-").replace("..", "_")


def settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(variable, setting, value) in order of variables."""
    for variable in sorted(environ):
        if is_setting(variable):
            yield variable, setting_of(variable), environ[variable]


def cluster_id(environ: Mapping[str, str]) -> str | None:
    """What CLUSTER_ID says, as Kafka's image reads it: the id that a fresh directory gets. Raises ConfigError."""
    value = environ.get(CLUSTER_ID)
    if value is not None:
        check_cluster_id(CLUSTER_ID, value)
    return value


def check_cluster_id(source: str, value: str) -> None:
    """Like Kafka this takes other words than its own uuids too. Raises ConfigError."""
    if not re.fullmatch(r"[a-zA-Z0-9._-]+", value):
        raise ConfigError(
            f"{source}={value if value.isprintable() else repr(value)}: a cluster id is one word of letters, digits, "
            "dots, dashes and underscores; pykbroker random-uuid makes one"
        )
