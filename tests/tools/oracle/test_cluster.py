"""The real Kafka's settings; that it starts is shown by compat_tests --oracle."""

import socket
from pathlib import Path

from tools.oracle.cluster import (
    FULL_HEAP,
    first_port,
    free_ports,
    jvm_options,
    node_properties,
    read_properties,
    write_properties,
)
from tools.oracle.jars import BRIEF


def test_the_first_node_is_the_controller_of_all() -> None:
    first, second = (node_properties(number, 5000 + number, 5100, 2, Path("data")) for number in (1, 2))
    assert first["process.roles"] == "broker,controller"
    assert second["process.roles"] == "broker"
    assert first["listeners"] == "PLAINTEXT://127.0.0.1:5001,CONTROLLER://127.0.0.1:5100"
    assert second["listeners"] == "PLAINTEXT://127.0.0.1:5002"
    assert first["controller.quorum.voters"] == second["controller.quorum.voters"] == "1@127.0.0.1:5100"
    assert first["offsets.topic.replication.factor"] == "2"


def test_properties_are_read_back(tmp_path: Path) -> None:
    file = tmp_path / "server.properties"
    properties = node_properties(1, 5001, 5100, 1, tmp_path) | {"sasl.jaas.config": 'user="me=you"'}
    write_properties(file, properties)
    file.write_text("# a=comment\n\n" + file.read_text())
    assert read_properties(file) == properties
    assert first_port(properties) == 5001


def test_free_ports_differ_and_can_be_bound() -> None:
    ports = free_ports(4)
    assert len(set(ports)) == 4
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_what_is_measured_runs_as_by_the_scripts_and_what_is_tested_starts_soon() -> None:
    assert jvm_options(FULL_HEAP) == ("-XX:+UseG1GC",)
    assert jvm_options("256m") == BRIEF
