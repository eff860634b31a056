"""Texts to values and back, with Kafka's messages (ConfigDef.parseType, ConfigDef.convertToString)."""

import pytest

from pykbroker.config.definitions import BROKER, GROUP, TOPIC
from pykbroker.config.types import (
    BOOLEAN,
    CLASS,
    DOUBLE,
    INT,
    LIST,
    LONG,
    PASSWORD,
    SHORT,
    STRING,
    InvalidValue,
    java_double,
    parse,
    parse_valid,
    to_text,
)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (" true ", BOOLEAN, True),
        ("FALSE", BOOLEAN, False),
        (" a b ", STRING, "a b"),
        (" secret ", PASSWORD, "secret"),
        ("org.apache.X", CLASS, "org.apache.X"),
        ("-32768", SHORT, -32768),
        ("+2147483647", INT, 2147483647),
        ("-9223372036854775808", LONG, -9223372036854775808),
        ("0.5", DOUBLE, 0.5),
        (".5e1", DOUBLE, 5.0),
        ("1d", DOUBLE, 1.0),
        ("a , b,c", LIST, ["a", "b", "c"]),
        ("  ", LIST, []),
        ("a,,b", LIST, ["a", "", "b"]),
    ],
)
def test_parse(text: str, kind: int, value: object) -> None:
    assert parse("name", text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("yes", BOOLEAN, "Expected value to be either true or false"),
        ("32768", SHORT, "Not a number of type SHORT"),
        ("2147483648", INT, "Not a number of type INT"),
        ("1.5", INT, "Not a number of type INT"),
        ("1_000", INT, "Not a number of type INT"),
        ("", INT, "Not a number of type INT"),
        ("9" * 5000, LONG, "Not a number of type LONG"),
        ("\u0661", LONG, "Not a number of type LONG"),
        ("0x10", DOUBLE, "Not a number of type DOUBLE"),
        ("nan", DOUBLE, "Not a number of type DOUBLE"),
    ],
)
def test_parse_refuses(text: str, kind: int, reason: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse("the.name", text, kind)
    assert caught.value.reason == reason
    assert str(caught.value) == f"Invalid value {text} for configuration the.name: {reason}"


@pytest.mark.parametrize(
    ("table", "name", "text", "message"),
    [
        (
            TOPIC,
            "segment.bytes",
            "5",
            "Invalid value 5 for configuration segment.bytes: Value must be at least 1048576",
        ),
        (
            TOPIC,
            "compression.lz4.level",
            "18",
            "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17",
        ),
        (
            TOPIC,
            "min.cleanable.dirty.ratio",
            "2",
            "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
        ),
        (
            TOPIC,
            "compression.gzip.level",
            "10",
            "Invalid value 10 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
        ),
        (
            TOPIC,
            "cleanup.policy",
            "delete,x",
            "Invalid value x for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (TOPIC, "cleanup.policy", "delete,", "Configuration 'cleanup.policy' values must not be empty."),
        (
            BROKER,
            "process.roles",
            "",
            "Configuration 'process.roles' must not be empty. Valid values include: any non-empty value",
        ),
        (
            TOPIC,
            "leader.replication.throttled.replicas",
            "1:a",
            "Invalid value [1:a] for configuration leader.replication.throttled.replicas: "
            "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following "
            "format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
        (
            BROKER,
            "group.consumer.migration.policy",
            "x",
            "Invalid value x for configuration group.consumer.migration.policy: String must be one of "
            "(case insensitive): DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL",
        ),
    ],
)
def test_validators(table: dict[str, tuple[object, ...]], name: str, text: str, message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_valid(name, text, table[name])  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    ["latest", "earliest", "by_duration:PT1H", "by_duration:P1DT2H3M4.5S", "by_duration:pt0s", "by_duration:PT1H-30M"],
)
def test_offset_resets(text: str) -> None:
    name = "share.auto.offset.reset"
    assert parse_valid(name, text, GROUP[name]) == text


@pytest.mark.parametrize("text", ["", "none", "by_duration:", "by_duration:P", "by_duration:PT-1H", "by_duration:1h"])
def test_no_offset_resets(text: str) -> None:
    name = "share.auto.offset.reset"
    with pytest.raises(InvalidValue):
        parse_valid(name, text, GROUP[name])


def test_lists_count_repetitions_once() -> None:
    assert parse_valid("cleanup.policy", "compact, delete,compact", TOPIC["cleanup.policy"]) == ["compact", "delete"]
    name = "leader.replication.throttled.replicas"
    assert parse_valid(name, "1:1,,1:1", TOPIC[name]) == ["1:1", "", "1:1"]
    assert parse_valid(name, "*", TOPIC[name]) == ["*"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (5, "5"), (["a", "b"], "a,b"), ((), ""), ("x", "x"), (0.5, "0.5")],
)
def test_to_text(value: object, text: str) -> None:
    assert to_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (1.0, "1.0"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (1e7, "1.0E7"),
        (9999999.0, "9999999.0"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
        (2147483647.0, "2.147483647E9"),
    ],
)
def test_doubles_are_printed_as_java_does(value: float, text: str) -> None:
    assert java_double(value) == text
