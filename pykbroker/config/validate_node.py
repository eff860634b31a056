"""What a node is: its roles, listeners, and the quorum of controllers it belongs to (KafkaConfig.validateValues)."""

from typing import TYPE_CHECKING

from pykbroker.config.errors import ConfigError
from pykbroker.config.listeners import (
    advertised_listeners,
    advertised_names,
    client_listeners,
    controller_listener_names,
    controller_listeners,
    listeners,
)
from pykbroker.config.quorum import bootstrap_controllers, quorum_voters

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

# The replica.selector.class that there is: who sets none reads from leaders.
RACK_AWARE = "org.apache.kafka.common.replica.RackAwareReplicaSelector"


def check_node(config: "BrokerConfig") -> None:
    """Raises ConfigError: what is wrong, and what to do."""
    _check_what_there_is_not(config)
    _check_listeners(config)
    if "broker" in config.process_roles:
        _check_clients(config)
    _check_quorum(config)


def require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


def _check_what_there_is_not(config: "BrokerConfig") -> None:
    require(
        config.broker_id in (-1, config.node_id),
        f"broker.id={config.broker_id}: must be the same as node.id={config.node_id}; leave broker.id out",
    )
    require(
        not config.remote_log_storage_system_enable,
        "remote.log.storage.system.enable=true: pykbroker has no tiered storage",
    )
    require(
        not config.authorizer_class_name,
        f"authorizer.class.name={config.authorizer_class_name}: pykbroker has no authorization yet",
    )
    require(
        config.replica_selector_class in (None, "", RACK_AWARE),
        f"replica.selector.class={config.replica_selector_class}: pykbroker loads no Java classes; it has "
        f"{RACK_AWARE}, and without any consumers read from leaders",
    )


def _check_listeners(config: "BrokerConfig") -> None:
    """Those that this node opens."""
    told = f"listeners={','.join(config.listeners)}"
    roles = set(config.process_roles)
    clients, controllers = client_listeners(config), controller_listeners(config)
    if roles == {"controller"}:
        require(
            not clients and bool(controllers),
            f"{told}: with process.roles=controller there are the controller's alone, and at least one; "
            f"controller.listener.names={','.join(config.controller_listener_names)} says which",
        )
    else:
        require(bool(clients), f"{told}: all of them appear in controller.listener.names")
    if roles == {"broker"}:
        require(
            not controllers,
            f"{told}: with process.roles=broker none of them may appear in controller.listener.names",
        )
    for endpoint in clients + controllers:
        require(
            endpoint.security_protocol == "PLAINTEXT",
            f"listeners: {endpoint.listener} uses {endpoint.security_protocol}; pykbroker serves PLAINTEXT only yet",
        )


def _check_clients(config: "BrokerConfig") -> None:
    """What clients and other brokers are told."""
    names = {endpoint.listener for endpoint in listeners(config)}
    advertised = advertised_names(config)
    told = ",".join(config.advertised_listeners or ())
    require(bool(advertised), f"advertised.listeners={told}: there must be one that is not the controller's")
    unknown = [name for name in advertised if name not in names]
    require(
        not unknown,
        f"advertised.listeners={told}: {', '.join(unknown)} is not among listeners={','.join(config.listeners)}",
    )
    require(
        not any(host == "0.0.0.0" for host, _ in (advertised_listeners(config) or {}).values()),
        f"advertised.listeners={told}: no client can reach 0.0.0.0; leave advertised.listeners out or name an address",
    )
    _check_inter_broker_listener(config, advertised)


def _check_inter_broker_listener(config: "BrokerConfig", advertised: list[str]) -> None:
    name = config.inter_broker_listener_name
    if name is None:
        return
    require(
        "security.inter.broker.protocol" not in config.texts,
        "inter.broker.listener.name and security.inter.broker.protocol are both set: only one of them may be",
    )
    require(
        name.upper() in advertised,
        f"inter.broker.listener.name={name}: must be one of the advertised listeners: {', '.join(advertised)}",
    )


def _check_quorum(config: "BrokerConfig") -> None:
    voters = config.controller_quorum_voters
    told = f"controller.quorum.voters={','.join(voters)}"
    ids = list(quorum_voters(config))
    if "controller" in config.process_roles:
        require(
            not ids or config.node_id in ids,
            f"{told}: the controller's own node.id={config.node_id} must be among them",
        )
        require(len(ids) < 2, f"{told}: pykbroker's controller is a quorum of one; name no other node")
        return
    require(
        bool(ids or bootstrap_controllers(config)),
        "process.roles=broker: set controller.quorum.bootstrap.servers, or controller.quorum.voters, "
        "to say where the controller is",
    )
    require(
        config.node_id not in ids,
        f"{told}: node.id={config.node_id} is that of a controller; with process.roles=broker it must be another",
    )
    require(
        bool(controller_listener_names(config)),
        "controller.listener.names: must name the listener of the controller to which this broker speaks",
    )
