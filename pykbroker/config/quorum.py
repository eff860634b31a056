"""Where the controllers are: controller.quorum.voters and controller.quorum.bootstrap.servers (QuorumConfig)."""

from typing import TYPE_CHECKING

from pykbroker.config.errors import ConfigError

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig


def quorum_voters(config: "BrokerConfig") -> dict[int, tuple[str, int]]:
    """(host, port) by node id, of static voters. Raises ConfigError."""
    found = {}
    for voter in config.controller_quorum_voters:
        number, at, address = voter.strip().partition("@")
        where = _address(address)
        if not at or not number.isdecimal() or len(number) > 10 or where is None:
            raise ConfigError(f"controller.quorum.voters={voter}: must be ID@HOST:PORT")
        found[int(number)] = where
    return found


def bootstrap_controllers(config: "BrokerConfig") -> list[tuple[str, int]]:
    """Controllers to ask first who leads. Raises ConfigError."""
    found = []
    for server in config.controller_quorum_bootstrap_servers:
        where = _address(server)
        if where is None:
            raise ConfigError(f"controller.quorum.bootstrap.servers={server}: must be HOST:PORT")
        found.append(where)
    return found


def _address(text: str) -> tuple[str, int] | None:
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdecimal() and len(port) < 6 and int(port) <= 65535):
        return None
    return host, int(port)
