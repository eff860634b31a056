"""listeners, advertised.listeners, listener.security.protocol.map (AbstractKafkaConfig, SocketServerConfigs)."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pykbroker.config.errors import ConfigError
from pykbroker.ids import Endpoint

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

PLAINTEXT = "PLAINTEXT"
SECURITY_PROTOCOLS = (PLAINTEXT, "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_LISTENER = r"(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)"


def client_listeners(config: "BrokerConfig") -> list[Endpoint]:
    """Where clients are served: `listeners` without those of the controller. An empty host means all addresses."""
    controllers = controller_listener_names(config)
    return [endpoint for endpoint in listeners(config) if endpoint.listener not in controllers]


def controller_listeners(config: "BrokerConfig") -> list[Endpoint]:
    """Where other nodes find the controller: those of `listeners` that controller.listener.names names, maybe none."""
    controllers = controller_listener_names(config)
    return [endpoint for endpoint in listeners(config) if endpoint.listener in controllers]


def advertised_listeners(config: "BrokerConfig") -> dict[str, tuple[str, int]] | None:
    """Host and port to tell clients, by listener; None where advertised.listeners is not set.

    A listener that is missing, or whose host is left out, is told by the address by which the client came.
    """
    if config.advertised_listeners is None:
        return None
    controllers = controller_listener_names(config)
    advertised = _endpoints("advertised.listeners", config.advertised_listeners, security_protocols(config))
    return {e.listener: (e.host, e.port) for e in advertised if e.host and e.listener not in controllers}


def advertised_controllers(config: "BrokerConfig") -> dict[str, tuple[str, int]]:
    """Host and port to tell other nodes, by listener of the controller, as far as advertised.listeners says."""
    controllers = controller_listener_names(config)
    told = _endpoints("advertised.listeners", config.advertised_listeners or (), security_protocols(config))
    return {e.listener: (e.host, e.port) for e in told if e.host and e.listener in controllers}


def listeners(config: "BrokerConfig") -> list[Endpoint]:
    """All of them in order. Raises ConfigError."""
    return _endpoints("listeners", config.listeners, security_protocols(config))


def advertised_controller_listener(config: "BrokerConfig") -> Endpoint | None:
    """Where other nodes reach this controller, by the first of controller.listener.names; an empty host: nobody said.

    (KafkaConfig.effectiveAdvertisedControllerListeners) Raises ConfigError.
    """
    name = next((name.upper() for name in config.controller_listener_names), None)
    told = _endpoints("advertised.listeners", config.advertised_listeners or (), security_protocols(config))
    found = next((endpoint for endpoint in (*told, *listeners(config)) if endpoint.listener == name), None)
    return found._replace(host="") if found is not None and found.host == "0.0.0.0" else found


def advertised_names(config: "BrokerConfig") -> list[str]:
    """The listeners that clients are told of. Raises ConfigError."""
    if config.advertised_listeners is None:
        return [endpoint.listener for endpoint in client_listeners(config)]
    endpoints = _endpoints("advertised.listeners", config.advertised_listeners, security_protocols(config))
    controllers = controller_listener_names(config)
    return [endpoint.listener for endpoint in endpoints if endpoint.listener not in controllers]


def inter_broker_listener(config: "BrokerConfig") -> str:
    """By which listener the brokers reach each other (KafkaConfig.interBrokerListenerName)."""
    return (config.inter_broker_listener_name or config.security_inter_broker_protocol).upper()


def controller_listener_names(config: "BrokerConfig") -> set[str]:
    return {name.upper() for name in config.controller_listener_names}


def security_protocols(config: "BrokerConfig") -> dict[str, str]:
    """Security protocol by listener; in the default map a controller's listener needs no entry. Raises ConfigError."""
    name = "listener.security.protocol.map"
    protocols = {}
    for entry in filter(None, re.split(r"\s*,\s*", config.listener_security_protocol_map.strip())):
        listener, _, protocol = entry.rpartition(":")
        if not listener or protocol not in SECURITY_PROTOCOLS:
            raise ConfigError(f"{name}={entry}: must be LISTENER:PROTOCOL with one of {', '.join(SECURITY_PROTOCOLS)}")
        protocols[listener.upper()] = protocol
    if name not in config.texts:
        for listener in controller_listener_names(config):
            protocols.setdefault(listener, PLAINTEXT)
    return protocols


def _endpoints(name: str, texts: Iterable[str], protocols: dict[str, str]) -> list[Endpoint]:
    endpoints = [_endpoint(name, text, protocols) for text in texts]
    names = [endpoint.listener for endpoint in endpoints]
    if len(set(names)) != len(names):
        raise ConfigError(f"{name}={','.join(texts)}: each listener must have a different name")
    if name == "listeners":
        _check_ports(texts, endpoints)
    return endpoints


def _endpoint(name: str, text: str, protocols: dict[str, str]) -> Endpoint:
    match = re.fullmatch(_LISTENER, text)
    if match is None:
        raise ConfigError(f"{name}={text}: must be LISTENER://HOST:PORT, e.g. PLAINTEXT://localhost:9092")
    listener, host, port = match[1].upper(), match[2], match[3]
    if len(port) > 6 or not 0 <= int(port) <= 65535:
        raise ConfigError(f"{name}={text}: the port must lie between 0 and 65535")
    if listener not in protocols:
        raise ConfigError(f"{name}={text}: listener.security.protocol.map has no entry for {listener}")
    return Endpoint(listener, protocols[listener], host, int(port))


def _check_ports(texts: Iterable[str], endpoints: list[Endpoint]) -> None:
    """Two listeners may share a port only as IPv4 and IPv6 of one machine (SocketServerConfigs.validate)."""
    by_port: dict[int, list[str]] = {}
    for endpoint in endpoints:
        if endpoint.port:
            by_port.setdefault(endpoint.port, []).append(endpoint.host)
    for port, hosts in by_port.items():
        is_pair = len(hosts) == 2 and all(hosts) and (":" in hosts[0]) != (":" in hosts[1])
        if len(hosts) > 1 and not is_pair:
            raise ConfigError(f"listeners={','.join(texts)}: two listeners have port {port}")
