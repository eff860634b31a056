"""Requests about configs in a few words, for the dialogues with our handlers and with the real Kafka."""

from typing import Any

from pykbroker.protocol.enums import AlterConfigOp, ConfigResourceType
from pykbroker.protocol.messages import alter_configs, incremental_alter_configs
from pykbroker.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from tests.handlers.broker.asker import Asker

TOPIC, BROKER, LOGGER = ConfigResourceType.TOPIC, ConfigResourceType.BROKER, ConfigResourceType.BROKER_LOGGER
METRICS, GROUP = ConfigResourceType.CLIENT_METRICS, ConfigResourceType.GROUP
SET, DELETE, APPEND, SUBTRACT = AlterConfigOp
NODE = "1"
DONE = (0, None)

Change = tuple[str, int, str | None]


def describe(
    asker: Asker, kind: int, name: str, keys: list[str] | None = None, version: int = 4, **fields: bool
) -> Any:
    """The one result; `fields`: include_synonyms, include_documentation."""
    resource = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=keys)
    response = asker.ask(DescribeConfigsRequest(resources=[resource], **fields), version)
    assert response.throttle_time_ms == 0
    (result,) = response.results
    assert (result.resource_type, result.resource_name) == (kind, name)
    return result


def refusal(asker: Asker, kind: int, name: str) -> tuple[int, str | None]:
    """Error and message of a description."""
    result = describe(asker, kind, name)
    assert result.configs == []
    return result.error_code, result.error_message


def entries(asker: Asker, kind: int, name: str, *keys: str) -> dict[str, tuple[str | None, int, list[Any]]]:
    """(value, source, [(synonym, value, source)]) by config."""
    result = describe(asker, kind, name, list(keys) or None, include_synonyms=True)
    assert result.error_code == 0, result
    return {
        row.name: (row.value, row.config_source, [(s.name, s.value, s.source) for s in row.synonyms])
        for row in result.configs
    }


def incremental(
    asker: Asker, kind: int, name: str, *changes: Change, version: int = 1, validate_only: bool = False
) -> tuple[int, str | None]:
    """Error and message of IncrementalAlterConfigs for one resource."""
    resource = incremental_alter_configs.AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[
            incremental_alter_configs.AlterableConfig(name=key, config_operation=operation, value=value)
            for key, operation, value in changes
        ],
    )
    request = incremental_alter_configs.IncrementalAlterConfigsRequest(
        resources=[resource], validate_only=validate_only
    )
    return _told(asker.ask(request, version), kind, name)


def legacy(
    asker: Asker, kind: int, name: str, *configs: tuple[str, str | None], version: int = 2, validate_only: bool = False
) -> tuple[int, str | None]:
    """Error and message of AlterConfigs for one resource."""
    resource = alter_configs.AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[alter_configs.AlterableConfig(name=key, value=value) for key, value in configs],
    )
    request = alter_configs.AlterConfigsRequest(resources=[resource], validate_only=validate_only)
    return _told(asker.ask(request, version), kind, name)


def _told(response: Any, kind: int, name: str) -> tuple[int, str | None]:
    assert response.throttle_time_ms == 0
    (row,) = response.responses
    assert (row.resource_type, row.resource_name) == (kind, name)
    return row.error_code, row.error_message
