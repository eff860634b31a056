"""StreamsGroupHeartbeat (88): a member of a streams group joins, stays or leaves; its internal topics are created.

KIP-1071. Kafka: KafkaApis.handleStreamsGroupHeartbeat.
"""

from collections.abc import Mapping
from typing import Final

from pykbroker.coordinator.group.streams_configured_topology import ConfiguredInternalTopic, Status
from pykbroker.coordinator.group.streams_topology import named_topics
from pykbroker.errors import KafkaError
from pykbroker.handlers.streams_protocol import require_streams_protocol
from pykbroker.metadata.topic_names import is_internal, why_invalid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.streams_group_heartbeat import (
    StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse,
    Topology,
)
from pykbroker.request import RequestContext, Services

_ERRORS_IN_A_LINE: Final = 3


async def handle(
    broker: Services, ctx: RequestContext, request: StreamsGroupHeartbeatRequest
) -> StreamsGroupHeartbeatResponse:
    """Raises KafkaError."""
    require_streams_protocol(broker)
    if request.topology is not None:
        _check_names(request.topology)
    result = await broker.groups.streams_group_heartbeat(ctx, request)
    if result.to_create:
        # An attempt that failed is told with the heartbeats of two intervals, then there is the next one.
        remember_ms = 2 * result.response.heartbeat_interval_ms
        broker.streams_topics.create(ctx, result.to_create, remember_ms)
        _tell_errors(broker, result.to_create, result.response)
    return result.response


def _check_names(topology: Topology) -> None:
    """Raises KafkaError STREAMS_INVALID_TOPOLOGY."""
    names = named_topics(topology)
    prohibited = [name for name in names if is_internal(name)]
    if prohibited:
        raise _invalid(
            f"Use of Kafka internal topics {','.join(prohibited)} in a Kafka Streams topology is prohibited."
        )
    illegal = [name for name in names if why_invalid(name) is not None]
    if illegal:
        raise _invalid(f"Topic names {','.join(illegal)} are not valid topic names.")


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.STREAMS_INVALID_TOPOLOGY, message)


def _tell_errors(
    broker: Services, topics: Mapping[str, ConfiguredInternalTopic], response: StreamsGroupHeartbeatResponse
) -> None:
    errors = broker.streams_topics.errors(topics)
    missing = next((row for row in response.status or () if row.status_code == Status.MISSING_INTERNAL_TOPICS), None)
    if not errors or missing is None:
        return
    shown = ", ".join(f"{name} ({message})" for name, message in list(errors.items())[:_ERRORS_IN_A_LINE])
    if len(errors) > _ERRORS_IN_A_LINE:
        shown += f" and {len(errors) - _ERRORS_IN_A_LINE} more"
    missing.status_detail += f"; Creation failed: {shown}."
