"""Which records a change of configs becomes. Kafka's own answers: tests/handlers/broker/test_*_configs.py."""

from typing import Any

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.configuration_control import ConfigurationControl, Operation, Resource
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.features import ELR_VERSION
from pykbroker.metadata.image import (
    BROKER_RESOURCE,
    CLIENT_METRICS_RESOURCE,
    GROUP_RESOURCE,
    TOPIC_RESOURCE,
    MetadataImage,
)
from pykbroker.protocol.enums import AlterConfigOp
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.persisted.metadata.clear_elr_record import ClearElrRecord
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from pykbroker.protocol.persisted.metadata.register_broker_record import RegisterBrokerRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord

SET, DELETE, APPEND, SUBTRACT = AlterConfigOp
T, U = (TOPIC_RESOURCE, "t"), (TOPIC_RESOURCE, "u")
NODE, CLUSTER = (BROKER_RESOURCE, "1"), (BROKER_RESOURCE, "")
MIN_ISR = "min.insync.replicas"


def image(stored: dict[Resource, dict[str, str]] | None = None, *, elr: bool = True) -> MetadataImage:
    """Topic t, broker 1, and what is stored."""
    delta = MetadataDelta(MetadataImage.empty())
    delta.replay(FeatureLevelRecord(name=ELR_VERSION, feature_level=int(elr)))
    delta.replay(TopicRecord(name="t", topic_id=Uuid.random()))
    delta.replay(RegisterBrokerRecord(broker_id=1, incarnation_id=Uuid.random()))
    for (kind, name), configs in (stored or {}).items():
        for key, value in configs.items():
            delta.replay(ConfigRecord(resource_type=kind, resource_name=name, name=key, value=value))
    return delta.apply(0, 1)


def control(stored: dict[Resource, dict[str, str]] | None = None, **fields: Any) -> ConfigurationControl:
    return ConfigurationControl(image(stored, **fields), BrokerConfig(), 1)


def records(result: ControllerResult[Any]) -> list[tuple[int, str, str, str | None]]:
    return [
        (record.resource_type, record.resource_name, record.name, record.value)
        for record in result.records
        if isinstance(record, ConfigRecord)
    ]


def change(resource: Resource, *operations: tuple[str, int, str | None], **stored: str) -> list[tuple[str, str | None]]:
    """(config, new value) of the records; `stored` configs with underscores."""
    before = {resource: {name.replace("_", "."): value for name, value in stored.items()}}
    result = control(before).incremental_alter({resource: [Operation(*operation) for operation in operations]})
    assert result.response == {resource: None}
    return [(name, value) for _, _, name, value in records(result)]


def error(result: ControllerResult[dict[Resource, KafkaError | None]], resource: Resource) -> tuple[int, str | None]:
    found = result.response[resource]
    assert found is not None
    assert records(result) == []
    return found.code, found.message


def test_set_and_delete() -> None:
    assert change(T, ("retention.ms", SET, "5"), ("segment.ms", SET, "6")) == [
        ("retention.ms", "5"),
        ("segment.ms", "6"),
    ]
    assert change(T, ("retention.ms", SET, "5"), retention_ms="5") == []
    assert change(T, ("retention.ms", DELETE, None), retention_ms="5") == [("retention.ms", None)]
    assert change(T, ("retention.ms", DELETE, None)) == []


def test_a_broker_is_told_again_what_it_has() -> None:
    assert change(NODE, ("log.retention.ms", SET, "5"), log_retention_ms="5") == [("log.retention.ms", "5")]
    assert change(NODE, ("log.retention.ms", DELETE, None)) == [("log.retention.ms", None)]


@pytest.mark.parametrize(
    ("operation", "given", "stored", "after"),
    [
        (APPEND, "compact", None, "delete,compact"),
        (APPEND, "compact", "compact", None),
        (APPEND, "delete,compact,,", "compact", "compact,delete"),
        (APPEND, "", "compact", "error"),
        (SUBTRACT, "compact", "compact,delete", "delete"),
        (SUBTRACT, "compact,delete", "compact,delete", ""),
        (SUBTRACT, "compact", "delete", None),
        (SUBTRACT, "delete", None, ""),
    ],
)
def test_lists(operation: int, given: str, stored: str | None, after: str | None) -> None:
    before = {} if stored is None else {T: {"cleanup.policy": stored}}
    result = control(before).incremental_alter({T: [Operation("cleanup.policy", operation, given)]})
    if after == "error":
        assert error(result, T) == (
            ErrorCode.INVALID_CONFIG,
            "Configuration 'cleanup.policy' values must not be empty.",
        )
    else:
        assert records(result) == ([] if after is None else [(*T, "cleanup.policy", after)])


def test_resources_stand_or_fall_alone() -> None:
    result = control().incremental_alter(
        {
            T: [Operation("retention.ms", SET, "5"), Operation("segment.bytes", SET, "1")],
            NODE: [Operation("log.retention.ms", SET, "6")],
        }
    )
    assert records(result) == [(*NODE, "log.retention.ms", "6")]
    assert result.response[NODE] is None
    refused = result.response[T]
    assert refused is not None
    assert refused.code == ErrorCode.INVALID_CONFIG


def test_what_is_stored_already_is_checked_again() -> None:
    result = control({T: {"segment.bytes": "1"}}).incremental_alter({T: [Operation("retention.ms", SET, "5")]})
    assert error(result, T)[1] == "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576"


def test_a_topic_is_checked_over_the_broker_s_present_configs() -> None:
    stored = {NODE: {"log.cleaner.max.compaction.lag.ms": "5"}}
    result = control(stored).incremental_alter({T: [Operation("min.compaction.lag.ms", SET, "6")]})
    assert error(result, T)[0] == ErrorCode.INVALID_CONFIG


def test_an_unknown_operation_fails_the_whole_request() -> None:
    with pytest.raises(KafkaError) as caught:
        control().incremental_alter({NODE: [Operation("log.roll.ms", SET, "1")], T: [Operation("a", 9, "")]})
    assert caught.value.code == ErrorCode.UNKNOWN_SERVER_ERROR


@pytest.mark.parametrize(
    ("resource", "code", "message"),
    [
        (U, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "The topic 'u' does not exist."),
        ((TOPIC_RESOURCE, ""), ErrorCode.INVALID_REQUEST, "Default topic resources are not allowed."),
        (
            (TOPIC_RESOURCE, ".."),
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            "Topic name is invalid: '..' is not allowed",
        ),
        ((BROKER_RESOURCE, "x"), ErrorCode.INVALID_REQUEST, "Unable to parse broker name as a base 10 number."),
        ((BROKER_RESOURCE, "-1"), ErrorCode.INVALID_REQUEST, "Invalid negative broker ID."),
        ((BROKER_RESOURCE, "7"), ErrorCode.BROKER_ID_NOT_REGISTERED, "No node with id 7 found."),
        ((GROUP_RESOURCE, ""), ErrorCode.INVALID_REQUEST, "Default group resources are not allowed."),
        ((CLIENT_METRICS_RESOURCE, ""), ErrorCode.INVALID_REQUEST, "Subscription name can't be empty"),
        ((99, "x"), ErrorCode.INVALID_REQUEST, "Unknown resource type 99"),
    ],
)
def test_resources_that_cannot_be(resource: Resource, code: int, message: str) -> None:
    assert error(control().incremental_alter({resource: []}), resource) == (code, message)
    assert error(control().legacy_alter({resource: {}}), resource) == (code, message)


def test_groups_and_client_metrics() -> None:
    assert change((GROUP_RESOURCE, "g"), ("consumer.session.timeout.ms", SET, "50000")) == [
        ("consumer.session.timeout.ms", "50000")
    ]
    assert change((CLIENT_METRICS_RESOURCE, "m"), ("interval.ms", SET, "1000")) == [("interval.ms", "1000")]


def test_legacy_requests_replace_everything() -> None:
    stored = {T: {"retention.ms": "5", "segment.ms": "6", "flush.ms": "7"}}
    result = control(stored).legacy_alter({T: {"retention.ms": "5", "segment.ms": "8"}})
    assert records(result) == [(*T, "segment.ms", "8"), (*T, "flush.ms", None)]
    assert result.response == {T: None}
    assert records(control(stored).legacy_alter({T: dict(stored[T])})) == []


def test_values_have_a_limit() -> None:
    name = "leader.replication.throttled.replicas"
    value = ",".join(["1000:1000"] * 3276)  # 32759 characters
    assert len(change(T, (name, SET, value))) == 1
    result = control({T: {name: value}}).incremental_alter({T: [Operation(name, APPEND, "2000:2000")]})
    assert error(result, T) == (
        ErrorCode.INVALID_CONFIG,
        "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.",
    )


# KIP-966: a new min.insync.replicas takes the meaning from the eligible leader replicas.


def cleared(result: ControllerResult[Any]) -> list[str]:
    return [record.topic_name for record in result.records if isinstance(record, ClearElrRecord)]


def test_another_min_insync_replicas_clears_the_elr() -> None:
    result = control().incremental_alter({T: [Operation(MIN_ISR, SET, "2"), Operation("flush.ms", SET, "1")]})
    assert cleared(result) == ["t"]
    assert isinstance(result.records[-1], ClearElrRecord)
    assert cleared(control({T: {MIN_ISR: "2"}}).incremental_alter({T: [Operation(MIN_ISR, DELETE, None)]})) == ["t"]
    assert cleared(control({T: {MIN_ISR: "2"}}).incremental_alter({T: [Operation(MIN_ISR, SET, "2")]})) == []
    assert cleared(control().incremental_alter({CLUSTER: [Operation(MIN_ISR, SET, "2")]})) == [""]
    assert cleared(control({T: {MIN_ISR: "2"}}).legacy_alter({T: {}})) == ["t"]


def test_without_elr_nothing_is_cleared_and_brokers_may_differ() -> None:
    result = control(elr=False).incremental_alter(
        {NODE: [Operation(MIN_ISR, SET, "2")], T: [Operation(MIN_ISR, SET, "2")]}
    )
    assert len(records(result)) == 2
    assert cleared(result) == []


def test_with_elr_it_is_one_value_for_the_cluster() -> None:
    code = ErrorCode.INVALID_CONFIG
    altered = code, "Broker-level min.insync.replicas cannot be altered while ELR is enabled."
    removed = code, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."
    stored = {CLUSTER: {MIN_ISR: "1"}}
    assert error(control().incremental_alter({NODE: [Operation(MIN_ISR, SET, "2")]}), NODE) == altered
    assert error(control(stored).incremental_alter({CLUSTER: [Operation(MIN_ISR, DELETE, None)]}), CLUSTER) == removed
    assert error(control(stored).legacy_alter({CLUSTER: {}}), CLUSTER) == removed


def test_one_request_may_not_write_without_end() -> None:
    names = {(GROUP_RESOURCE, f"g{index}"): {"share.isolation.level": "read_committed"} for index in range(10_001)}
    with pytest.raises(KafkaError) as caught:
        control().legacy_alter(names)
    assert caught.value.code == ErrorCode.POLICY_VIOLATION
