import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.errors import ConfigError
from pykbroker.config.quorum import bootstrap_controllers, quorum_voters
from pykbroker.config.validate_node import check_node


def config(voters: list[str] | None = None, servers: list[str] | None = None) -> BrokerConfig:
    made = BrokerConfig()
    made.controller_quorum_voters = voters or []
    made.controller_quorum_bootstrap_servers = servers or []
    return made


def test_voters() -> None:
    assert quorum_voters(config()) == {}
    found = quorum_voters(config(["1@localhost:9093", " 22@10.0.0.1:1", "3@[::1]:9093"]))
    assert found == {1: ("localhost", 9093), 22: ("10.0.0.1", 1), 3: ("::1", 9093)}


def test_bootstrap_servers() -> None:
    assert bootstrap_controllers(config()) == []
    found = bootstrap_controllers(config(servers=["localhost:9093", "[::1]:1"]))
    assert found == [("localhost", 9093), ("::1", 1)]


@pytest.mark.parametrize(
    "voter", ["localhost:9093", "x@localhost:9093", "1@localhost", "1@:9093", "1@h:99999", "1@h:x"]
)
def test_what_is_no_voter(voter: str) -> None:
    with pytest.raises(ConfigError, match=r"controller\.quorum\.voters=.*must be ID@HOST:PORT"):
        quorum_voters(config([voter]))


@pytest.mark.parametrize("server", ["localhost", ":9093", "h:", "h:123456"])
def test_what_is_no_server(server: str) -> None:
    with pytest.raises(ConfigError, match=r"controller\.quorum\.bootstrap\.servers=.*must be HOST:PORT"):
        bootstrap_controllers(config(servers=[server]))


@pytest.mark.parametrize("name", ["controller.quorum.voters", "controller.quorum.bootstrap.servers"])
def test_a_broker_does_not_start_with_them(name: str) -> None:
    texts = {"process.roles": "broker", "node.id": "2", "controller.listener.names": "CONTROLLER", name: "1@localhost"}
    with pytest.raises(ConfigError, match="must be"):
        check_node(BrokerConfig(texts))
