"""FindCoordinator (10): which broker keeps a group or a transactional id. Creates its topic on first use. KIP-699
(many keys).

Share groups have no coordinator here yet. For them the error is one that clients do not retry.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import NO_NODE, Node, node_of
from pykbroker.metadata.topic_names import GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC
from pykbroker.protocol.enums import CoordinatorType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from pykbroker.request import RequestContext, Services

MANY_KEYS_FROM: Final = 4
SHARE_FROM: Final = 6
MALFORMED: Final = (
    "This most likely occurs because of a request being malformed by the client library or the message was sent to an "
    "incompatible broker. See the broker logs for more details."
)
# What the old versions say, which have no row per key; the others leave it empty.
MESSAGES: Final[dict[int, str]] = {
    ErrorCode.NONE: "NONE",
    ErrorCode.COORDINATOR_NOT_AVAILABLE: "The coordinator is not available.",
    ErrorCode.INVALID_REQUEST: MALFORMED,
}


class Found(NamedTuple):
    node: Node = NO_NODE
    error: int = ErrorCode.NONE
    message: str | None = ""


async def handle(broker: Services, ctx: RequestContext, request: FindCoordinatorRequest) -> FindCoordinatorResponse:
    """Raises KafkaError."""
    if ctx.api_version < MANY_KEYS_FROM:
        found = await find(broker, ctx, request.key_type, request.key)
        return single(found._replace(message=found.message or MESSAGES[found.error]))
    return FindCoordinatorResponse(
        coordinators=[
            coordinator(key, await find(broker, ctx, request.key_type, key)) for key in request.coordinator_keys
        ]
    )


async def find(broker: Services, ctx: RequestContext, key_type: int, key: str) -> Found:
    if key_type == CoordinatorType.SHARE:
        is_new_to_it = ctx.api_version < SHARE_FROM
        message = "" if is_new_to_it else "Share groups are not served by this broker."
        return Found(error=ErrorCode.INVALID_REQUEST, message=message)
    if key_type == CoordinatorType.GROUP:
        topic = GROUP_METADATA_TOPIC
        partition_for: Callable[[str], int] = broker.groups.partition_for
    elif key_type == CoordinatorType.TRANSACTION:
        topic = TRANSACTION_STATE_TOPIC
        partition_for = broker.transactions.partition_for
    else:
        raise KafkaError(ErrorCode.INVALID_REQUEST, MALFORMED)
    if topic not in broker.image.topics:
        await broker.topic_creation.create(ctx, [topic])
    image = broker.image
    partition = image.topics.partition(topic, partition_for(key))
    leader = image.brokers.get(partition.leader) if partition is not None else None
    node = node_of(broker, ctx, leader) if leader is not None and not leader.fenced else None
    return Found(error=ErrorCode.COORDINATOR_NOT_AVAILABLE) if node is None else Found(node)


def single(found: Found) -> FindCoordinatorResponse:
    return FindCoordinatorResponse(
        error_code=found.error,
        error_message=found.message,
        node_id=found.node.id,
        host=found.node.host,
        port=found.node.port,
    )


def coordinator(key: str, found: Found) -> Coordinator:
    return Coordinator(
        key=key,
        node_id=found.node.id,
        host=found.node.host,
        port=found.node.port,
        error_code=found.error,
        error_message=found.message,
    )


def error_response(request: FindCoordinatorRequest, error: KafkaError, version: int) -> FindCoordinatorResponse:
    """Every key gets the error (FindCoordinatorRequest.getErrorResponse)."""
    found = Found(error=error.code, message=error.message)
    if version < MANY_KEYS_FROM:
        return single(found)
    return FindCoordinatorResponse(coordinators=[coordinator(key, found) for key in request.coordinator_keys])
