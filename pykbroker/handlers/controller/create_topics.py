"""CreateTopics (19): KIP-4, KIP-464 (defaults), KIP-525 (configs in the answer)."""

from collections.abc import Mapping

from pykbroker.controller import topic_control
from pykbroker.controller.controller import Controller
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.handlers.shared import require_time
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topic_names import CLUSTER_METADATA_TOPIC
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from pykbroker.request import RequestContext


async def handle(controller: Controller, ctx: RequestContext, request: CreateTopicsRequest) -> CreateTopicsResponse:
    accepted, refused = split_request(request.topics)
    effective = CreateTopicsRequest(topics=accepted, timeout_ms=request.timeout_ms, validate_only=request.validate_only)

    def decide(image: MetadataImage) -> ControllerResult[CreateTopicsResponse]:
        return topic_control.create_topics(image, effective, defaults(controller, image))

    if not accepted:
        return CreateTopicsResponse(topics=refused)
    require_time(request.timeout_ms)
    response = await controller.execute(decide)
    response.topics.extend(refused)
    return response


def split_request(topics: list[CreatableTopic]) -> tuple[list[CreatableTopic], list[CreatableTopicResult]]:
    """Topics to create, and answers for those refused unseen: duplicates and the metadata topic (ControllerApis)."""
    counts: dict[str, int] = {}
    for topic in topics:
        counts[topic.name] = counts.get(topic.name, 0) + 1
    refused: list[CreatableTopicResult] = []
    for name, count in counts.items():
        if count > 1:
            refused.append(_refused(name, "Duplicate topic name."))
        elif name == CLUSTER_METADATA_TOPIC:
            refused.append(_refused(name, f"Creation of internal topic {CLUSTER_METADATA_TOPIC} is prohibited."))
    accepted = [t for t in topics if counts[t.name] == 1 and t.name != CLUSTER_METADATA_TOPIC]
    return accepted, refused


def defaults(controller: Controller, image: MetadataImage) -> topic_control.Defaults:
    """What the node's configs say where the client says nothing."""
    from pykbroker.config.describe import describe_new_topic
    from pykbroker.config.dynamic import config_of
    from pykbroker.config.validate import validate_topic_overrides

    config = controller.config
    current = config_of(config, image, controller.node_id)

    def check(overrides: Mapping[str, str]) -> None:
        validate_topic_overrides(overrides, current)

    def describe(overrides: Mapping[str, str]) -> list[CreatableTopicConfigs]:
        return [
            CreatableTopicConfigs(
                name=row.name,
                value=None if row.is_sensitive else row.value,
                read_only=row.read_only,
                config_source=row.source,
                is_sensitive=row.is_sensitive,
            )
            for row in describe_new_topic(config, image, overrides)
        ]

    return topic_control.Defaults(
        num_partitions=config.num_partitions,
        replication_factor=config.default_replication_factor,
        check_configs=check,
        describe_configs=describe,
        rng=controller.rng,
    )


def error_response(request: CreateTopicsRequest, error: KafkaError, version: int) -> CreateTopicsResponse:
    """Every topic gets the error (CreateTopicsRequest.getErrorResponse)."""
    rows = [
        CreatableTopicResult(name=t.name, error_code=error.code, error_message=error.message) for t in request.topics
    ]
    return CreateTopicsResponse(topics=rows)


def _refused(name: str, message: str) -> CreatableTopicResult:
    return CreatableTopicResult(name=name, error_code=ErrorCode.INVALID_REQUEST, error_message=message)
