"""What a running broker can take. Kafka's own answers: tests/handlers/broker/test_incremental_alter_configs.py."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.broker_updates import validate_update
from pykbroker.config.dynamic import DynamicBrokerConfig
from pykbroker.errors import KafkaError
from pykbroker.metadata.delta import full_delta
from pykbroker.metadata.image import BROKER_RESOURCE
from pykbroker.protocol.error_codes import ErrorCode
from tests.config.images import image_of


def node(**settings: str) -> DynamicBrokerConfig:
    return DynamicBrokerConfig(BrokerConfig({k.replace("_", "."): v for k, v in settings.items()}), 1)


def refusal(configs: DynamicBrokerConfig, proposed: dict[str, str], per_broker: bool = True) -> str | None:
    with pytest.raises(KafkaError) as caught:
        validate_update(configs, proposed, per_broker=per_broker)
    assert caught.value.code == ErrorCode.INVALID_REQUEST
    return caught.value.message


def wrapped(reason: str) -> str:
    return (
        f"Invalid value org.apache.kafka.common.config.ConfigException: {reason} "
        "for configuration Invalid dynamic configuration"
    )


def test_names_come_before_values() -> None:
    told = refusal(node(), {"log.retention.ms": "x", "node.id": "2", "broker.rack": "r"})
    assert told == "Cannot update these configs dynamically: [node.id, broker.rack]"


def test_values_come_before_where_they_may_be_set() -> None:
    told = refusal(node(), {"listeners": "", "log.retention.ms": "1"}, per_broker=False)
    assert told == "Configuration 'listeners' must not be empty. Valid values include: any non-empty value"


@pytest.mark.parametrize(
    "name",
    [
        "background.threads",
        "num.io.threads",
        "num.network.threads",
        "num.replica.fetchers",
        "remote.log.reader.threads",
    ],
)
def test_threads_change_between_half_and_double(name: str) -> None:
    configs = node(**{name.replace(".", "_"): "5"})
    for threads in ("2", "10"):
        validate_update(configs, {name: threads}, per_broker=True)
    failed = f"Dynamic thread count update validation failed for {name}="
    assert refusal(configs, {name: "1"}) == wrapped(f"{failed}1, value should be at least half the current value 5")
    told = refusal(configs, {name: "11"})
    assert told == wrapped(f"{failed}11, value should not be greater than double the current value 5")


def test_the_present_value_counts_not_the_first() -> None:
    configs = node()
    image = image_of({(BROKER_RESOURCE, "1"): {"num.io.threads": "20"}})
    configs.on_metadata_update(full_delta(image), image)
    validate_update(configs, {"num.io.threads": "40"}, per_broker=True)
    told = refusal(configs, {})
    assert told is not None
    assert "num.io.threads=8, value should be at least half the current value 20" in told


def test_cleaner_threads() -> None:
    configs = node(log_cleaner_threads="4")
    assert refusal(configs, {"log.cleaner.threads": "9"}) == wrapped(
        "Log cleaner threads cannot be increased to more than double the current value 4"
    )
    assert refusal(configs, {"log.cleaner.threads": "1"}) == wrapped(
        "Log cleaner threads cannot be reduced to less than half the current value 4"
    )


def test_sockets_stay_as_they_were_bound() -> None:
    configs = node(listeners="PLAINTEXT://:9092")
    validate_update(configs, {"listeners": "PLAINTEXT://:9092"}, per_broker=True)
    told = refusal(configs, {"listeners": "PLAINTEXT://:9093"})
    assert told == wrapped("listeners cannot change while this broker runs; change it at start")


def test_foreign_classes() -> None:
    assert refusal(node(), {"metric.reporters": "foo.Bar"}) == wrapped(
        "Validation of dynamic config update of Set(metric.reporters) failed with class "
        "class kafka.server.DynamicMetricsReporters"
    )
    name = "principal.builder.class"
    told = refusal(node(), {name: "foo.Bar"})
    assert told == f"Invalid value foo.Bar for configuration {name}: Class foo.Bar could not be found."
    default = "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"
    validate_update(node(), {name: default}, per_broker=True)


def test_intervals_stay_within_the_bounds_of_the_coordinator() -> None:
    name = "group.share.assignment.interval.ms"
    told = refusal(node(), {name: "15001"})
    assert told == f"{name} must be less than or equal to group.share.max.assignment.interval.ms"
    validate_update(node(), {name: "15000"}, per_broker=True)


def test_all_brokers_together_are_checked_over_this_broker_s_own() -> None:
    configs = node()
    image = image_of({(BROKER_RESOURCE, "1"): {"log.retention.ms": "5"}})
    configs.on_metadata_update(full_delta(image), image)
    validate_update(configs, {"log.retention.ms": "0"}, per_broker=False)
    assert refusal(node(), {"log.retention.ms": "0"}, per_broker=False) == (
        "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1"
    )
