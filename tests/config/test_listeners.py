"""listeners, advertised.listeners and their security protocols."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.errors import ConfigError
from pykbroker.config.listeners import (
    advertised_controller_listener,
    advertised_listeners,
    advertised_names,
    client_listeners,
    listeners,
    security_protocols,
)
from pykbroker.ids import Endpoint


def config(text: str, **settings: str) -> BrokerConfig:
    return BrokerConfig({"listeners": text, **{name.replace("_", "."): value for name, value in settings.items()}})


def test_the_controller_s_listeners_are_not_for_clients() -> None:
    found = config(
        "PLAINTEXT://:9092,ctl://localhost:9093",
        controller_listener_names="CTL",
        advertised_listeners="PLAINTEXT://a:1,CTL://b:2",
    )
    assert listeners(found) == [
        Endpoint("PLAINTEXT", "PLAINTEXT", "", 9092),
        Endpoint("CTL", "PLAINTEXT", "localhost", 9093),
    ]
    assert client_listeners(found) == listeners(found)[:1]
    assert advertised_listeners(found) == {"PLAINTEXT": ("a", 1)}
    assert advertised_names(found) == ["PLAINTEXT"]


def test_hosts_of_all_kinds() -> None:
    found = config(
        "PLAINTEXT://[::1]:9092,A-1://my_host.example:0,B://[fe80::1%25eth0]:65535",
        listener_security_protocol_map="PLAINTEXT:PLAINTEXT,A-1:PLAINTEXT,B:PLAINTEXT",
    )
    assert [(e.listener, e.host, e.port) for e in listeners(found)] == [
        ("PLAINTEXT", "::1", 9092),
        ("A-1", "my_host.example", 0),
        ("B", "fe80::1%25eth0", 65535),
    ]


def test_a_host_that_is_left_out_is_told_by_where_the_client_came() -> None:
    found = config("PLAINTEXT://:9092,SSL://:9093", advertised_listeners="PLAINTEXT://:9092,SSL://a:9093")
    assert advertised_listeners(found) == {"SSL": ("a", 9093)}
    assert advertised_names(found) == ["PLAINTEXT", "SSL"]
    assert advertised_listeners(config("PLAINTEXT://:9092")) is None
    assert advertised_names(config("PLAINTEXT://:9092")) == ["PLAINTEXT"]


def test_the_same_port_on_ipv4_and_ipv6() -> None:
    protocols = "A:PLAINTEXT,B:PLAINTEXT"
    found = config("A://127.0.0.1:9092,B://[::1]:9092", listener_security_protocol_map=protocols)
    assert len(listeners(found)) == 2
    assert len(listeners(config("A://h:0,B://h:0", listener_security_protocol_map=protocols))) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost:9092", "must be LISTENER://HOST:PORT, e.g. PLAINTEXT://localhost:9092"),
        ("PLAINTEXT://a b:9092", "must be LISTENER://HOST:PORT, e.g. PLAINTEXT://localhost:9092"),
        ("PLAINTEXT://h", "must be LISTENER://HOST:PORT, e.g. PLAINTEXT://localhost:9092"),
        ("PLAINTEXT://h:65536", "the port must lie between 0 and 65535"),
        ("PLAINTEXT://h:-1", "the port must lie between 0 and 65535"),
        (f"PLAINTEXT://h:{'9' * 5000}", "the port must lie between 0 and 65535"),
        ("OTHER://h:1", "listener.security.protocol.map has no entry for OTHER"),
        ("PLAINTEXT://h:1,plaintext://h:2", "each listener must have a different name"),
        ("PLAINTEXT://h:1,SSL://h:1", "two listeners have port 1"),
    ],
)
def test_listeners_that_cannot_be(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        listeners(config(text))
    assert str(caught.value) == f"listeners={text}: {reason}"


def test_the_controller_needs_an_entry_in_a_map_that_is_set() -> None:
    assert security_protocols(config("PLAINTEXT://:1"))["CONTROLLER"] == "PLAINTEXT"
    assert "CONTROLLER" not in security_protocols(config("A://:1", listener_security_protocol_map="A:SSL"))


@pytest.mark.parametrize("entry", ["A", "A:NONE", ":SSL"])
def test_a_map_that_cannot_be(entry: str) -> None:
    with pytest.raises(ConfigError, match=f"listener.security.protocol.map={entry}: must be LISTENER:PROTOCOL"):
        security_protocols(config("PLAINTEXT://:1", listener_security_protocol_map=f"PLAINTEXT:PLAINTEXT,{entry}"))


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("PLAINTEXT://:1,CONTROLLER://h:2", {}, ("h", 2)),
        ("PLAINTEXT://:1,CONTROLLER://:2", {}, ("", 2)),
        ("PLAINTEXT://:1,CONTROLLER://0.0.0.0:2", {}, ("", 2)),
        ("PLAINTEXT://:1,CONTROLLER://:2", {"advertised_listeners": "PLAINTEXT://a:1,CONTROLLER://b:3"}, ("b", 3)),
        ("A://:1,B://:2", {"controller_listener_names": "b,a"}, ("", 2)),
    ],
)
def test_where_other_nodes_reach_the_controller(text: str, settings: dict[str, str], expected: tuple[str, int]) -> None:
    protocols = {"listener_security_protocol_map": "A:PLAINTEXT,B:PLAINTEXT"} if text.startswith("A") else {}
    found = advertised_controller_listener(config(text, **settings, **protocols))
    assert found is not None
    assert (found.host, found.port) == expected


def test_a_controller_without_a_listener_is_not_reached() -> None:
    assert advertised_controller_listener(config("PLAINTEXT://:1")) is None
