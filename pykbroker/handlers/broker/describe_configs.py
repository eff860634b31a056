"""DescribeConfigs (32): values of configs and where they come from (KIP-133, KIP-226, KIP-569)."""

from pykbroker.config import describe, loggers
from pykbroker.config.describe import ConfigEntry
from pykbroker.errors import KafkaError
from pykbroker.metadata.topic_names import why_invalid
from pykbroker.protocol.enums import ConfigResourceType, ConfigSource
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from pykbroker.request import RequestContext, Services

_MALFORMED = (
    "This most likely occurs because of a request being malformed by the client library or the message was sent to an "
    "incompatible broker. See the broker logs for more details."
)
# One resource may be asked for again and again, some 300 configs each time.
MAX_ROWS = 200_000
_INT_RANGE = range(-(1 << 31), 1 << 31)
_DOCUMENTED_KINDS = {
    ConfigResourceType.TOPIC: "topic",
    ConfigResourceType.BROKER: "broker",
    ConfigResourceType.GROUP: "group",
    ConfigResourceType.CLIENT_METRICS: "client_metrics",
}


async def handle(broker: Services, ctx: RequestContext, request: DescribeConfigsRequest) -> DescribeConfigsResponse:
    results, rows = [], 0
    for resource in request.resources:
        result = _describe(broker, request, resource) if rows < MAX_ROWS else _too_much(resource)
        results.append(result)
        rows += len(result.configs)
    return DescribeConfigsResponse(results=results)


def _too_much(resource: DescribeConfigsResource) -> DescribeConfigsResult:
    return DescribeConfigsResult(
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        error_code=ErrorCode.INVALID_REQUEST,
        error_message=f"One answer holds {MAX_ROWS} configs at most: ask for fewer resources at once",
    )


def _describe(
    broker: Services, request: DescribeConfigsRequest, resource: DescribeConfigsResource
) -> DescribeConfigsResult:
    result = DescribeConfigsResult(resource_type=resource.resource_type, resource_name=resource.resource_name)
    try:
        entries = _entries(broker, resource.resource_type, resource.resource_name)
    except KafkaError as error:
        result.error_code = error.code
        result.error_message = error.message or ""
        return result
    wanted = frozenset(resource.configuration_keys or ())
    is_logger = resource.resource_type == ConfigResourceType.BROKER_LOGGER
    result.configs = [
        _row(entry, request.include_synonyms, "" if is_logger else _documentation(request, resource, entry))
        for entry in entries
        if not wanted or entry.name in wanted
    ]
    return result


def _entries(broker: Services, kind: int, name: str) -> list[ConfigEntry]:
    """Raises KafkaError."""
    configs = broker.dynamic_config
    if kind == ConfigResourceType.TOPIC:
        _check_topic(broker, name)
        return describe.describe_topic(configs.topic_config(name), configs.levels)
    if kind == ConfigResourceType.BROKER:
        if not name:
            return describe.describe_cluster_default(configs.levels)
        _check_broker(broker, name, f"{broker.node_id} or empty string,")
        return describe.describe_broker(configs.current, configs.levels)
    if kind == ConfigResourceType.BROKER_LOGGER:
        _check_named(name, "Broker id must not be empty")
        _check_broker(broker, name, str(broker.node_id))
        source = ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG
        return [ConfigEntry(logger, level, source, []) for logger, level in loggers.levels().items()]
    if kind == ConfigResourceType.CLIENT_METRICS:
        _check_named(name, "Client metrics subscription name must not be empty")
        return describe.describe_client_metrics(broker.image.configs.client_metrics(name))
    if kind == ConfigResourceType.GROUP:
        _check_named(name, "Group name must not be empty")
        return describe.describe_group(configs.group_config(name), configs.levels)
    raise KafkaError(ErrorCode.INVALID_REQUEST, _MALFORMED)


def _check_topic(broker: Services, name: str) -> None:
    reason = why_invalid(name)
    if reason is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)
    if name not in broker.image.topics:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def _check_named(name: str, message: str) -> None:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, message)


def _check_broker(broker: Services, name: str, expected: str) -> None:
    digits = name[1:] if name[0] in "+-" else name
    if not digits.isdecimal() or len(digits) > 10 or int(name) not in _INT_RANGE:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Broker id must be an integer, but it is: {name}")
    if int(name) != broker.node_id:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"Unexpected broker id, expected {expected} but received {int(name)}"
        )


def _row(entry: ConfigEntry, with_synonyms: bool, documentation: str | None) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=entry.name,
        value=entry.value,
        read_only=entry.read_only,
        config_source=entry.source,
        is_sensitive=entry.is_sensitive,
        synonyms=[DescribeConfigsSynonym(*synonym) for synonym in entry.synonyms] if with_synonyms else [],
        config_type=entry.config_type,
        documentation=documentation,
    )


def _documentation(
    request: DescribeConfigsRequest, resource: DescribeConfigsResource, entry: ConfigEntry
) -> str | None:
    if not request.include_documentation:
        return None
    from pykbroker.config.documentation import DOCUMENTATION

    known = DOCUMENTATION[_DOCUMENTED_KINDS[ConfigResourceType(resource.resource_type)]].get(entry.name)
    return known[1] if known else None
