"""Sources of settings: which wins, and the one line for what cannot be."""

import logging
from pathlib import Path

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.parse import ConfigError, load
from pykbroker.config.validate import advertised_listeners, client_listeners
from pykbroker.ids import Endpoint

# The settings of config/server.properties in Kafka 4.3.
STOCK = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""
# What differs in config/broker.properties.
STOCK_BROKER = STOCK.replace("process.roles=broker,controller", "process.roles=broker").replace(
    ",CONTROLLER://:9093", ""
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "server.properties"


def refused(path: Path | None = None, environ: dict[str, str] | None = None, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(None if path is None else str(path), environ or {}, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_is_set() -> None:
    config = load(None, {"HOME": "/root"}, [])
    assert config.texts == {}
    assert (config.node_id, config.process_roles) == (1, ["broker", "controller"])
    assert client_listeners(config) == [Endpoint("PLAINTEXT", "PLAINTEXT", "localhost", 9092)]
    assert advertised_listeners(config) is None


def test_the_later_source_wins(file: Path) -> None:
    file.write_text("log.segment.bytes=2000001\nnum.partitions=2\nnum.io.threads=3\n")
    environ = {"KAFKA_LOG_SEGMENT_BYTES": "2000002", "KAFKA_NUM_PARTITIONS": "4"}
    config = load(str(file), environ, ["log.segment.bytes=2000003"])
    assert (config.log_segment_bytes, config.num_partitions, config.num_io_threads) == (2000003, 4, 3)


def test_the_later_line_wins(file: Path) -> None:
    file.write_text("num.partitions=2\nnum.partitions=3\n")
    assert load(str(file), {}, ["num.io.threads=4", "num.io.threads=5"]).num_partitions == 3


def test_a_later_source_takes_away_the_synonyms_of_earlier_ones(file: Path) -> None:
    file.write_text("log.retention.ms=5\nlog.retention.minutes=6\nlog.dirs=/file\nbroker.id=3\n")
    config = load(str(file), {"KAFKA_LOG_RETENTION_HOURS": "24"}, ["log.dir=/set", "node.id=4"])
    assert config.texts == {"log.retention.hours": "24", "log.dir": "/set", "node.id": "4", "broker.id": "4"}
    file.write_text("log.retention.ms=5\nlog.retention.hours=6\n")
    assert load(str(file), {}, []).texts == {"log.retention.ms": "5", "log.retention.hours": "6"}


def test_either_name_of_the_id_is_both() -> None:
    config = load(None, {}, ["broker.id=7"])
    assert (config.node_id, config.broker_id) == (7, 7)


def test_the_stock_server_properties(file: Path) -> None:
    file.write_text(STOCK)
    config = load(str(file), {}, [])
    assert client_listeners(config) == [Endpoint("PLAINTEXT", "PLAINTEXT", "", 9092)]
    assert advertised_listeners(config) == {"PLAINTEXT": ("localhost", 9092)}


def test_a_port_option_beside_the_stock_server_properties(file: Path) -> None:
    file.write_text(STOCK)
    config = load(str(file), {}, ["listeners=PLAINTEXT://localhost:0"])
    assert client_listeners(config) == [Endpoint("PLAINTEXT", "PLAINTEXT", "localhost", 0)]
    assert advertised_listeners(config) is None


def test_the_stock_broker_properties_has_known_names_only(file: Path) -> None:
    file.write_text(STOCK_BROKER)
    assert load(str(file), {}, []).process_roles == ["broker"]
    assert "broker: set controller.quorum.bootstrap" in refused(file, {}, "controller.quorum.bootstrap.servers=")


def test_the_environment_of_kafka_s_own_image() -> None:
    environ = {
        "CLUSTER_ID": "4L6g3nShT-eMCtK--X86sw",
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@broker:29093",
        "KAFKA_LISTENERS": "PLAINTEXT://broker:29092,CONTROLLER://broker:29093,PLAINTEXT_HOST://0.0.0.0:9092",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://broker:29092,PLAINTEXT_HOST://localhost:9092",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LOG_DIRS": "/tmp/kraft-combined-logs",
        "KAFKA_HEAP_OPTS": "-Xmx1g",
    }
    config = load(None, environ, [])
    assert [(e.listener, e.host, e.port) for e in client_listeners(config)] == [
        ("PLAINTEXT", "broker", 29092),
        ("PLAINTEXT_HOST", "0.0.0.0", 9092),
    ]
    assert advertised_listeners(config) == {"PLAINTEXT": ("broker", 29092), "PLAINTEXT_HOST": ("localhost", 9092)}


def test_unknown_settings_name_their_source(file: Path) -> None:
    file.write_text("# comment\nlog.segment.byte=5\n")
    unknown = "Kafka 4.3 has no such config"
    meant = "; did you mean log.segment.bytes?"
    assert refused(file) == f"{file}:2: unknown setting log.segment.byte=5: {unknown}{meant}"
    told = refused(None, {"KAFKA_LOG_SEGMENT_BYTE": "5"})
    assert told == f"KAFKA_LOG_SEGMENT_BYTE: unknown setting log.segment.byte=5: {unknown}{meant}"
    assert refused(None, {}, "xyz=5") == f"--set: unknown setting xyz=5: {unknown}"


def test_ill_typed_settings_name_their_source(file: Path) -> None:
    file.write_text("\nlog.segment.bytes=abc\n")
    assert refused(file) == f"{file}:2: log.segment.bytes=abc: Not a number of type INT"
    told = refused(None, {"KAFKA_LOG_SEGMENT_BYTES": "5"})
    assert told == "KAFKA_LOG_SEGMENT_BYTES: log.segment.bytes=5: Value must be at least 1048576"
    told = refused(None, {}, "auto.create.topics.enable=yes")
    assert told == "--set: auto.create.topics.enable=yes: Expected value to be either true or false"
    assert refused(None, {}, "compression.type=a\nb").startswith(
        r"--set: compression.type='a\nb': String must be one of"
    )


def test_settings_of_a_listener_are_checked_too() -> None:
    name = "listener.name.plaintext.max.connections"
    assert load(None, {}, [f"{name}=5", "listener.name.plaintext.made.up=x"]).texts[name] == "5"
    assert refused(None, {}, f"{name}=x") == f"--set: {name}=x: Not a number of type INT"


def test_secrets_are_not_shown() -> None:
    told = refused(None, {}, "ssl.keystore.pasword=hunter2")
    assert told.endswith("did you mean ssl.keystore.password?")
    assert "hunter2" not in told
    assert "hunter2" not in refused(None, {}, "my.password=hunter2")


def test_settings_that_do_not_go_together_name_their_source(file: Path) -> None:
    file.write_text("node.id=1\nbroker.id=2\n")
    assert refused(file).startswith(f"{file}:2: broker.id=2: must be the same as node.id=1")


def test_an_override_that_is_none() -> None:
    assert refused(None, {}, "log.dirs") == "--set log.dirs: must be NAME=VALUE"
    assert refused(None, {}, "=5") == "--set =5: must be NAME=VALUE"
    assert load(None, {}, [" num.partitions =5"]).num_partitions == 5


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert refused(tmp_path / "no") == f"cannot read {tmp_path / 'no'}: No such file or directory"
    assert refused(tmp_path) == f"cannot read {tmp_path}: Is a directory"
    bad = tmp_path / "bad"
    bad.write_text("a=\\u1")
    assert refused(bad) == f"cannot read {bad}: line 1: malformed \\uXXXX escape"


def test_files_in_utf8_or_as_java_reads_them(file: Path) -> None:
    file.write_bytes("\ufeff# é\nbroker.rack=é\n".encode())
    assert load(str(file), {}, []).broker_rack == "é"
    file.write_bytes("broker.rack=é\n".encode("latin-1"))
    assert load(str(file), {}, []).broker_rack == "é"


def test_what_has_no_effect_is_told_once(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write_text("num.io.threads=9\nnum.network.threads=3\nzookeeper.connect=z:1\nnum.partitions=2\n")
    with caplog.at_level(logging.INFO):
        config = load(str(file), {}, [])
    assert [record.getMessage() for record in caplog.records] == [
        "accepted, but without effect here: num.io.threads, zookeeper.connect"
    ]
    assert config.texts["zookeeper.connect"] == "z:1"
    assert isinstance(config, BrokerConfig)
