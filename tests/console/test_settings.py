"""What the nodes of a console are started with."""

from pykbroker.config.parse import load
from pykbroker.console.settings import CONTROLLER_ID, Plan


def plan(**values: object) -> Plan:
    made = Plan("/d", 3, "localhost", 9092, None, (), "info", "text")
    return made._replace(**values)  # type: ignore[arg-type]


def settings(arguments: list[str]) -> list[str]:
    return [arguments[index + 1] for index, word in enumerate(arguments) if word == "--set"]


def test_the_controller_is_reached_from_this_machine_alone() -> None:
    config = load(None, {}, plan(settings=("min.insync.replicas=2",)).controller())
    assert config.process_roles == ["controller"]
    assert (config.node_id, config.listeners) == (CONTROLLER_ID, ["CONTROLLER://127.0.0.1:0"])
    assert config.log_dirs == ["/d/controller"]
    assert config.min_insync_replicas == 2


def test_a_broker_joins_it() -> None:
    arguments = plan().broker(2, 9093, 4711, {})
    assert arguments[:6] == ["serve", "--stop-with-stdin", "--log-level", "info", "--log-format", "text"]
    config = load(None, {}, settings(arguments))
    assert config.process_roles == ["broker"]
    assert (config.node_id, config.listeners) == (2, ["PLAINTEXT://localhost:9093"])
    assert config.controller_quorum_voters == ["100@127.0.0.1:4711"]
    assert config.log_dirs == ["/d/broker-2"]
    assert config.default_replication_factor == config.offsets_topic_replication_factor == 3
    assert config.transaction_state_log_min_isr == config.share_coordinator_state_topic_min_isr == 2


def test_all_brokers_tell_the_same_addresses() -> None:
    assert "advertised.listeners=PLAINTEXT://localhost:9093" in settings(plan().broker(2, 9093, 1, {}))
    everywhere = settings(plan(host="0.0.0.0").broker(2, 9093, 1, {}))
    assert not any(text.startswith("advertised.listeners") for text in everywhere)


def test_few_brokers_have_few_copies() -> None:
    for brokers, copies, acknowledged in ((1, "1", "1"), (2, "2", "1"), (3, "3", "2"), (5, "3", "2")):
        found = plan(brokers=brokers).defaults()
        assert found["offsets.topic.replication.factor"] == found["default.replication.factor"] == copies
        assert found["transaction.state.log.min.isr"] == acknowledged


def test_what_the_user_says_wins() -> None:
    chosen = {"default.replication.factor": "2"}
    arguments = plan(config="f.properties", settings=("default.replication.factor=2",)).broker(1, 0, 1, chosen)
    assert arguments[6:8] == ["--config", "f.properties"]
    assert [text for text in settings(arguments) if text.startswith("default.")] == ["default.replication.factor=2"]


def test_what_is_not_the_users() -> None:
    assert plan(settings=("num.partitions=3", "node.id=7")).own_setting() == "node.id=7"
    assert plan(settings=("num.partitions=3",)).own_setting() is None


def test_ports_are_counted_up() -> None:
    assert [plan().first_port(number) for number in (1, 2, 3)] == [9092, 9093, 9094]
    assert [plan(port=0).first_port(number) for number in (1, 2)] == [0, 0]
    assert "listeners=PLAINTEXT://[::1]:1" in plan(host="::1").broker(1, 1, 1, {})
