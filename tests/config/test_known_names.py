"""Names with and without a definition."""

import pytest

from pykbroker.config.definitions import BROKER, QUOTA_BROKER
from pykbroker.config.known_names import (
    PLUGIN_NAMES,
    REMOVED,
    SECURITY_CONFIGS,
    base_name,
    is_dynamic,
    is_overlooked,
    is_per_broker,
    nearest,
    row_of,
)


def test_no_name_is_both_defined_and_overlooked() -> None:
    assert not [name for name in BROKER if is_overlooked(name)]
    assert not (PLUGIN_NAMES | REMOVED) & BROKER.keys()
    assert not SECURITY_CONFIGS - BROKER.keys()


@pytest.mark.parametrize(
    "name",
    [
        "zookeeper.connect",
        "inter.broker.protocol.version",
        "password.encoder.secret",
        "listener.name.a.b",
        "super.users",
    ],
)
def test_overlooked(name: str) -> None:
    assert is_overlooked(name)


def test_the_definition_of_a_name() -> None:
    assert row_of("log.segment.bytes") == BROKER["log.segment.bytes"]
    assert row_of("listener.name.plaintext.max.connections") == BROKER["max.connections"]
    name = "follower.replication.throttled.rate"
    assert row_of(name) == QUOTA_BROKER[name]
    assert row_of("listener.name.plaintext.nope") is None
    assert row_of("nope") is None
    assert base_name("listener.name.a.sasl.jaas.config") == "sasl.jaas.config"
    assert base_name("listener.name.a") is None
    assert base_name("log.segment.bytes") is None


def test_how_a_name_may_change() -> None:
    assert is_dynamic("log.segment.bytes")
    assert is_dynamic("leader.replication.throttled.rate")
    assert not is_dynamic("node.id")
    assert not is_dynamic("listener.name.plaintext.max.connections")
    assert is_per_broker("listeners")
    assert is_per_broker("listener.name.plaintext.ssl.keystore.type")
    assert not is_per_broker("listener.name.plaintext.max.connections")
    assert not is_per_broker("nope")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("log.segment.byte", "log.segment.bytes"),
        ("LOG_SEGMENT_BYTES", "log.segment.bytes"),
        ("advertised.listener", "advertised.listeners"),
        ("message.max.byte", "message.max.bytes"),
        ("xyz", None),
    ],
)
def test_the_nearest_name(wrong: str, meant: str | None) -> None:
    assert nearest(wrong) == meant
