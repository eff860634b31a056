"""Checks across configs: of a node (KafkaConfig.validateValues) and of a topic (LogConfig.validate)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pykbroker.config.definitions import TOPIC
from pykbroker.config.errors import ConfigError
from pykbroker.config.listeners import advertised_listeners as advertised_listeners
from pykbroker.config.listeners import advertised_names, controller_listener_names, listeners
from pykbroker.config.listeners import client_listeners as client_listeners
from pykbroker.config.topic_config import TopicConfig
from pykbroker.config.types import InvalidValue
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

_MEBIBYTE = 1024 * 1024


def validate_broker(config: "BrokerConfig") -> None:
    """Raises ConfigError when the node cannot run with these settings, each valid by itself."""
    _check_roles(config)
    _check_listeners(config)
    validate_values(config)
    _check_compaction_lag(config)
    _check_quorum(config)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


def _check_roles(config: "BrokerConfig") -> None:
    roles = ",".join(config.process_roles)
    _require(
        set(config.process_roles) == {"broker", "controller"},
        f"process.roles={roles}: pykbroker is broker and controller in one; set broker,controller or leave it out",
    )
    _require(
        config.broker_id in (-1, config.node_id),
        f"broker.id={config.broker_id}: must be the same as node.id={config.node_id}; leave broker.id out",
    )
    _require(
        not config.remote_log_storage_system_enable,
        "remote.log.storage.system.enable=true: pykbroker has no tiered storage",
    )
    _require(
        not config.authorizer_class_name,
        f"authorizer.class.name={config.authorizer_class_name}: pykbroker has no authorization yet",
    )


def _check_listeners(config: "BrokerConfig") -> None:
    controllers = controller_listener_names(config)
    endpoints = listeners(config)
    clients = [endpoint for endpoint in endpoints if endpoint.listener not in controllers]
    _require(bool(clients), f"listeners={','.join(config.listeners)}: all of them appear in controller.listener.names")
    for endpoint in clients:
        _require(
            endpoint.security_protocol == "PLAINTEXT",
            f"listeners: {endpoint.listener} uses {endpoint.security_protocol}; pykbroker serves PLAINTEXT only yet",
        )
    names = {endpoint.listener for endpoint in endpoints}
    advertised = advertised_names(config)
    told = ",".join(config.advertised_listeners or ())
    _require(bool(advertised), f"advertised.listeners={told}: there must be one that is not the controller's")
    unknown = [name for name in advertised if name not in names]
    _require(
        not unknown,
        f"advertised.listeners={told}: {', '.join(unknown)} is not among listeners={','.join(config.listeners)}",
    )
    _require(
        not any(host == "0.0.0.0" for host, _ in (advertised_listeners(config) or {}).values()),
        f"advertised.listeners={told}: no client can reach 0.0.0.0; leave advertised.listeners out or name an address",
    )
    _check_inter_broker_listener(config, advertised)


def _check_inter_broker_listener(config: "BrokerConfig", advertised: list[str]) -> None:
    name = config.inter_broker_listener_name
    if name is None:
        return
    _require(
        "security.inter.broker.protocol" not in config.texts,
        "inter.broker.listener.name and security.inter.broker.protocol are both set: only one of them may be",
    )
    _require(
        name.upper() in advertised,
        f"inter.broker.listener.name={name}: must be one of the advertised listeners: {', '.join(advertised)}",
    )


def validate_values(config: "BrokerConfig") -> None:
    """What also holds for dynamic changes, in Kafka's words: clients are told them. Raises ConfigError."""
    topic = TopicConfig.build(config)
    _require(
        bool(config.log_dirs or config.log_dir), "At least one log directory must be defined via log.dirs or log.dir."
    )
    _require(topic.segment_ms >= 1, "log.roll.ms must be greater than or equal to 1")
    _require(topic.segment_jitter_ms >= 0, "log.roll.jitter.ms must be greater than or equal to 0")
    _require(
        topic.retention_ms >= 1 or topic.retention_ms == -1,
        "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
    )
    _require(
        config.log_cleaner_threads > 0
        and config.log_cleaner_dedupe_buffer_size // config.log_cleaner_threads > _MEBIBYTE,
        "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
    )
    wait = config.replica_fetch_wait_max_ms
    _require(
        wait <= config.replica_socket_timeout_ms,
        "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms"
        " to prevent unnecessary socket timeouts",
    )
    _require(
        wait <= config.replica_lag_time_max_ms,
        "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms"
        " to prevent frequent changes in ISR",
    )
    _require(
        config.queued_max_request_bytes <= 0 or config.queued_max_request_bytes >= config.socket_request_max_bytes,
        "queued.max.request.bytes must be larger or equal to socket.request.max.bytes",
    )
    _check_connections(config)
    _check_cordoned(config)


def _check_connections(config: "BrokerConfig") -> None:
    overrides = config.max_connections_per_ip_overrides
    _require(
        config.max_connections_per_ip != 0 or bool(overrides),
        "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.",
    )
    for entry in filter(None, overrides.split(",")):
        host, _, count = entry.rpartition(":")
        _require(
            bool(host.strip()) and count.strip().isdecimal(),
            f"max.connections.per.ip.overrides must be HOST:COUNT entries, not {entry}",
        )
    delay, idle = config.connection_failed_authentication_delay_ms, config.connections_max_idle_ms
    _require(
        idle < 0 or delay < idle,
        f"connection.failed.authentication.delay.ms={delay} should always be less than"
        f" connections.max.idle.ms={idle} to prevent failed authentication responses from timing out",
    )


def _check_cordoned(config: "BrokerConfig") -> None:
    directories = config.log_dirs or config.log_dir
    missing = [path for path in config.cordoned_log_dirs if path != "*" and path not in directories]
    _require(
        not missing,
        "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. "
        f"Missing entries : {', '.join(missing)}",
    )


def _check_compaction_lag(config: "BrokerConfig") -> None:
    low, high = config.log_cleaner_min_compaction_lag_ms, config.log_cleaner_max_compaction_lag_ms
    _require(
        low <= high,
        f"log.cleaner.min.compaction.lag.ms={low}: must not exceed log.cleaner.max.compaction.lag.ms={high}",
    )


def _check_quorum(config: "BrokerConfig") -> None:
    voters = config.controller_quorum_voters
    shown = ",".join(voters)
    ids = [_voter_id(voter) for voter in voters]
    _require(
        not ids or config.node_id in ids,
        f"controller.quorum.voters={shown}: the controller's own node.id={config.node_id} must be among them",
    )
    _require(
        len(ids) < 2,
        f"controller.quorum.voters={shown}: pykbroker's controller is a quorum of one; name no other node",
    )


def _voter_id(voter: str) -> int:
    number, at, address = voter.partition("@")
    host, colon, port = address.rpartition(":")
    if not (at and colon and host and number.isdecimal() and port.isdecimal() and len(number) < 11):
        raise ConfigError(f"controller.quorum.voters={voter}: must be ID@HOST:PORT")
    return int(number)


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
