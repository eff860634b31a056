"""Which nodes can be: roles, listeners, quorum (KafkaConfig.validateValues)."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.errors import ConfigError
from pykbroker.config.validate_node import RACK_AWARE, check_node

BROKER = {"process.roles": "broker", "node.id": "2", "controller.quorum.bootstrap.servers": "h:1"}
CONTROLLER = {"process.roles": "controller", "listeners": "CONTROLLER://:9093"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"node.id": "2", "broker.id": "3"}, "broker.id=3: must be the same as node.id=2"),
        (
            {"remote.log.storage.system.enable": "true"},
            "remote.log.storage.system.enable=true: pykbroker has no tiered",
        ),
        ({"replica.selector.class": "a.B"}, "replica.selector.class=a.B: pykbroker loads no Java classes"),
        ({"authorizer.class.name": "a.B"}, "authorizer.class.name=a.B: pykbroker has no authorization yet"),
        ({"listeners": "SSL://:9092"}, "listeners: SSL uses SSL; pykbroker serves PLAINTEXT only yet"),
        (
            {"listeners": "CLIENT://:1", "listener.security.protocol.map": "CLIENT:SASL_SSL"},
            "listeners: CLIENT uses SASL_SSL; pykbroker serves PLAINTEXT only yet",
        ),
        (
            {"listeners": "CONTROLLER://:9093"},
            "listeners=CONTROLLER://:9093: all of them appear in controller.listener",
        ),
        ({"advertised.listeners": "SSL://a:1"}, "advertised.listeners=SSL://a:1: SSL is not among listeners="),
        ({"advertised.listeners": "CONTROLLER://a:1"}, "advertised.listeners=CONTROLLER://a:1: there must be one that"),
        (
            {"advertised.listeners": "PLAINTEXT://0.0.0.0:1"},
            "advertised.listeners=PLAINTEXT://0.0.0.0:1: no client can",
        ),
        ({"inter.broker.listener.name": "SSL"}, "inter.broker.listener.name=SSL: must be one of the advertised"),
        (
            {"inter.broker.listener.name": "PLAINTEXT", "security.inter.broker.protocol": "PLAINTEXT"},
            "inter.broker.listener.name and security.inter.broker.protocol are both set",
        ),
        ({"controller.quorum.voters": "2@h:1"}, "controller.quorum.voters=2@h:1: the controller's own node.id=1"),
        (
            {"controller.quorum.voters": "1@h:1,2@h:2"},
            "controller.quorum.voters=1@h:1,2@h:2: pykbroker's controller is",
        ),
        ({"controller.quorum.voters": "h:1"}, "controller.quorum.voters=h:1: must be ID@HOST:PORT"),
        (
            {
                "listeners": "A://:9092,CONTROLLER://:9093",
                "listener.security.protocol.map": "A:PLAINTEXT,CONTROLLER:SSL",
            },
            "listeners: CONTROLLER uses SSL; pykbroker serves PLAINTEXT only yet",
        ),
        (
            {**CONTROLLER, "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093"},
            "listeners=PLAINTEXT://:9092,CONTROLLER://:9093: with process.roles=controller there are the controller's",
        ),
        ({"process.roles": "controller"}, "listeners=PLAINTEXT://localhost:9092: with process.roles"),
        ({"process.roles": "broker"}, "process.roles=broker: set controller.quorum.bootstrap.servers, or"),
        (
            {**BROKER, "controller.quorum.voters": "2@h:1"},
            "controller.quorum.voters=2@h:1: node.id=2 is that of a controller",
        ),
        (
            {**BROKER, "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093"},
            "listeners=PLAINTEXT://:9092,CONTROLLER://:9093: with process.roles=broker none of them may",
        ),
        (
            {**BROKER, "controller.quorum.voters": "1"},
            "controller.quorum.voters=1: must be ID@HOST:PORT",
        ),
    ],
)
def test_nodes_that_cannot_be(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_node(BrokerConfig(settings))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"controller.quorum.voters": "1@localhost:9093"},
        {"listeners": "PLAINTEXT://:9092,CONTROLLER://:9093"},
        {"inter.broker.listener.name": "plaintext"},
        {"node.id": "0", "broker.id": "0"},
        {"process.roles": "controller,broker"},
        {"replica.selector.class": RACK_AWARE},
        CONTROLLER,
        {**CONTROLLER, "advertised.listeners": "CONTROLLER://localhost:9093"},
        BROKER,
        {**BROKER, "controller.quorum.bootstrap.servers": "", "controller.quorum.voters": "1@h:1,3@i:2,4@j:2"},
    ],
)
def test_nodes_that_can_be(settings: dict[str, str]) -> None:
    check_node(BrokerConfig(settings))
