"""Checks across configs: of a node (KafkaConfig.validateValues) and of a topic (LogConfig.validate)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pykbroker.config.definitions import TOPIC
from pykbroker.config.listeners import advertised_listeners as advertised_listeners
from pykbroker.config.listeners import client_listeners as client_listeners
from pykbroker.config.topic_config import TopicConfig
from pykbroker.config.types import InvalidValue
from pykbroker.config.validate_coordinator import check_coordinator
from pykbroker.config.validate_node import check_node, require
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

_MEBIBYTE = 1024 * 1024


def validate_broker(config: "BrokerConfig") -> None:
    """Raises ConfigError when the node cannot run with these settings, each valid by itself."""
    check_node(config)
    validate_values(config)
    check_coordinator(config)
    _check_compaction_lag(config)


def validate_values(config: "BrokerConfig") -> None:
    """What also holds for dynamic changes, in Kafka's words: clients are told them. Raises ConfigError."""
    topic = TopicConfig.build(config)
    require(
        bool(config.log_dirs or config.log_dir), "At least one log directory must be defined via log.dirs or log.dir."
    )
    require(topic.segment_ms >= 1, "log.roll.ms must be greater than or equal to 1")
    require(topic.segment_jitter_ms >= 0, "log.roll.jitter.ms must be greater than or equal to 0")
    require(
        topic.retention_ms >= 1 or topic.retention_ms == -1,
        "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
    )
    require(
        config.log_cleaner_threads > 0
        and config.log_cleaner_dedupe_buffer_size // config.log_cleaner_threads > _MEBIBYTE,
        "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
    )
    wait = config.replica_fetch_wait_max_ms
    require(
        wait <= config.replica_socket_timeout_ms,
        "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms"
        " to prevent unnecessary socket timeouts",
    )
    require(
        wait <= config.replica_lag_time_max_ms,
        "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms"
        " to prevent frequent changes in ISR",
    )
    require(
        config.queued_max_request_bytes <= 0 or config.queued_max_request_bytes >= config.socket_request_max_bytes,
        "queued.max.request.bytes must be larger or equal to socket.request.max.bytes",
    )
    _check_connections(config)
    _check_cordoned(config)


def _check_connections(config: "BrokerConfig") -> None:
    overrides = config.max_connections_per_ip_overrides
    require(
        config.max_connections_per_ip != 0 or bool(overrides),
        "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.",
    )
    for entry in filter(None, overrides.split(",")):
        host, _, count = entry.rpartition(":")
        require(
            bool(host.strip()) and count.strip().isdecimal(),
            f"max.connections.per.ip.overrides must be HOST:COUNT entries, not {entry}",
        )
    delay, idle = config.connection_failed_authentication_delay_ms, config.connections_max_idle_ms
    require(
        idle < 0 or delay < idle,
        f"connection.failed.authentication.delay.ms={delay} should always be less than"
        f" connections.max.idle.ms={idle} to prevent failed authentication responses from timing out",
    )


def _check_cordoned(config: "BrokerConfig") -> None:
    directories = config.log_dirs or config.log_dir
    missing = [path for path in config.cordoned_log_dirs if path != "*" and path not in directories]
    require(
        not missing,
        "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. "
        f"Missing entries : {', '.join(missing)}",
    )


def _check_compaction_lag(config: "BrokerConfig") -> None:
    low, high = config.log_cleaner_min_compaction_lag_ms, config.log_cleaner_max_compaction_lag_ms
    require(
        low <= high,
        f"log.cleaner.min.compaction.lag.ms={low}: must not exceed log.cleaner.max.compaction.lag.ms={high}",
    )


def validate_topic_overrides(overrides: Mapping[str, str], config: "BrokerConfig") -> None:
    """Raises KafkaError(INVALID_CONFIG) unless a topic may have these configs on this broker."""
    for name in overrides:
        if name not in TOPIC:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Unknown topic config name: {name}")
    try:
        topic = TopicConfig.build(config, overrides)
    except InvalidValue as error:
        raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from None
    if topic.min_compaction_lag_ms > topic.max_compaction_lag_ms:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"conflict topic config setting min.compaction.lag.ms ({topic.min_compaction_lag_ms}) > "
            f"max.compaction.lag.ms ({topic.max_compaction_lag_ms})",
        )
    if topic.remote_storage_enable:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage.",
        )
