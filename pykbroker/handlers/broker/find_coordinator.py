"""FindCoordinator (10): which broker keeps a group, a transactional id or the state of a share partition. Creates the
topic of it on first use. KIP-699 (many keys), KIP-932 (share partitions, for brokers).
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import NO_NODE, Node, node_of
from pykbroker.metadata.topic_names import GROUP_METADATA_TOPIC, SHARE_GROUP_STATE_TOPIC, TRANSACTION_STATE_TOPIC
from pykbroker.pending import pause_after
from pykbroker.protocol.enums import CoordinatorType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from pykbroker.request import RequestContext, Services

if TYPE_CHECKING:
    from pykbroker.coordinator.share.share_partition_key import SharePartitionKey

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
    response = FindCoordinatorResponse()
    for key in request.coordinator_keys:
        response.coordinators.append(coordinator(key, await find(broker, ctx, request.key_type, key)))
        await pause_after(len(response.coordinators))
    return response


async def find(broker: Services, ctx: RequestContext, key_type: int, key: str) -> Found:
    if key_type == CoordinatorType.GROUP:
        topic = GROUP_METADATA_TOPIC
        partition_for: Callable[[], int] = partial(broker.groups.partition_for, key)
    elif key_type == CoordinatorType.TRANSACTION:
        topic = TRANSACTION_STATE_TOPIC
        partition_for = partial(broker.transactions.partition_for, key)
    elif key_type == CoordinatorType.SHARE:
        topic = SHARE_GROUP_STATE_TOPIC
        try:
            partition_for = partial(broker.share_coordinator.partition_for, share_partition(ctx, key))
        except ValueError:
            return Found(error=ErrorCode.INVALID_REQUEST)
    else:
        raise KafkaError(ErrorCode.INVALID_REQUEST, MALFORMED)
    if topic not in broker.image.topics:
        await broker.topic_creation.create(ctx, [topic])
    image = broker.image
    partition = image.topics.partition(topic, partition_for())
    leader = image.brokers.get(partition.leader) if partition is not None else None
    node = node_of(broker, ctx, leader) if leader is not None and not leader.fenced else None
    return Found(error=ErrorCode.COORDINATOR_NOT_AVAILABLE) if node is None else Found(node)


def share_partition(ctx: RequestContext, key: str) -> "SharePartitionKey":
    """Raises ValueError."""
    from pykbroker.coordinator.share.share_partition_key import SharePartitionKey

    if ctx.api_version < SHARE_FROM:
        raise ValueError("share partitions have no coordinator in this version")
    return SharePartitionKey.parse(key)


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
