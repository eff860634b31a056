import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.errors import ConfigError
from pykbroker.config.quorum import bootstrap_controllers, quorum_voters


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
