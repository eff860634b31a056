"""What a group or a client metrics subscription may be told."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.validate_group import _BOUNDED, validate_client_metrics, validate_group
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

INVALID, REQUEST = ErrorCode.INVALID_CONFIG, ErrorCode.INVALID_REQUEST


def refusal(overrides: dict[str, str], **settings: str) -> str | None:
    broker = BrokerConfig({name.replace("_", "."): value for name, value in settings.items()})
    with pytest.raises(KafkaError) as caught:
        validate_group(overrides, broker)
    assert caught.value.code == INVALID
    return caught.value.message


def test_the_defaults_are_valid() -> None:
    validate_group({}, BrokerConfig())


# A value and a minimum above it, where the one that the broker has cannot be undercut.
HIGHER_MINIMUM = {
    "consumer.assignment.interval.ms": ("1", "2"),
    "share.assignment.interval.ms": ("1", "2"),
    "share.delivery.count.limit": ("2", "3"),
    "share.partition.max.record.locks": ("100", "101"),
    "streams.assignment.interval.ms": ("1", "2"),
}


@pytest.mark.parametrize("name", _BOUNDED)
def test_the_broker_s_bounds(name: str) -> None:
    kind, _, rest = name.partition(".")
    message = refusal({name: "2147483647"})
    assert message is not None
    assert message.startswith(f"{name} must be less than or equal to group.{kind}.max.")
    if rest == "num.standby.replicas":
        return
    minimum = f"group.{kind}.min.{rest}"
    low = BrokerConfig().get(minimum)
    value, bound = HIGHER_MINIMUM.get(name, (str(low - 1), str(low)))
    told = refusal({name: value}, **{minimum.replace(".", "_"): bound})
    assert told == f"{name} must be greater than or equal to {minimum}"
    validate_group({name: bound}, BrokerConfig({minimum: bound}))


def test_the_broker_s_own_values_are_checked_too() -> None:
    told = refusal({}, group_consumer_min_session_timeout_ms="50000")
    assert told == "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"


@pytest.mark.parametrize("kind", ["consumer", "share", "streams"])
def test_a_session_outlasts_a_heartbeat(kind: str) -> None:
    overrides = {f"{kind}.heartbeat.interval.ms": "45000"}
    told = refusal(overrides, **{f"group_{kind}_max_heartbeat_interval_ms": "45000"})
    assert told == f"{kind}.session.timeout.ms must be greater than {kind}.heartbeat.interval.ms"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"nope": "1"}, "Unknown group config name: nope"),
        (
            {"consumer.session.timeout.ms": "x"},
            "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT",
        ),
    ],
)
def test_groups_that_cannot_be(overrides: dict[str, str], message: str) -> None:
    assert refusal(overrides) == message


@pytest.mark.parametrize(
    ("name", "overrides", "code", "message"),
    [
        ("", {}, REQUEST, "Subscription name can't be empty"),
        ("m", {"nope": "x"}, REQUEST, "Unknown client metrics configuration: nope"),
        ("m", {"interval.ms": "x"}, INVALID, "Invalid value x for configuration interval.ms: Not a number of type INT"),
        ("m", {"metrics": "a,,b"}, INVALID, "Configuration 'metrics' values must not be empty."),
        ("m", {"match": "client_id"}, INVALID, "Illegal client matching pattern: client_id"),
        ("m", {"match": "client_id="}, INVALID, "Illegal client matching pattern: client_id="),
        ("m", {"match": "client_id=a=b"}, INVALID, "Illegal client matching pattern: client_id=a=b"),
        ("m", {"match": "client_id=["}, INVALID, "Illegal client matching pattern: client_id=["),
        ("m", {"match": "host=x"}, INVALID, "Illegal client matching pattern: host=x"),
    ],
)
def test_client_metrics_that_cannot_be(name: str, overrides: dict[str, str], code: int, message: str) -> None:
    with pytest.raises(KafkaError) as caught:
        validate_client_metrics(name, overrides)
    assert (caught.value.code, caught.value.message) == (code, message)


@pytest.mark.parametrize("interval", ["99", "3600001", "-1"])
def test_intervals_have_bounds(interval: str) -> None:
    with pytest.raises(KafkaError) as caught:
        validate_client_metrics("m", {"interval.ms": interval})
    assert caught.value.code == REQUEST
    assert caught.value.message == (
        f"Invalid value {interval} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
    )


def test_client_metrics_that_can_be() -> None:
    match = " client_id = a.* ,client_source_port=9[0-9]+"
    validate_client_metrics("m", {"interval.ms": "100", "metrics": "*", "match": match})
    validate_client_metrics("m", {"metrics": "", "match": ""})
