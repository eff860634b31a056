"""JoinGroup (11): a member joins or rejoins a classic group. KIP-345, 394, 559, 814. Kafka: handleJoinGroupRequest."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from pykbroker.request import RequestContext, Services

FIRST_VERSION_WITH_NULL_PROTOCOL = 7


async def handle(broker: Services, ctx: RequestContext, request: JoinGroupRequest) -> JoinGroupResponse:
    return _in_version(await broker.groups.join_group(ctx, request), ctx.api_version)


def error_response(request: JoinGroupRequest, error: KafkaError, version: int) -> JoinGroupResponse:
    return _in_version(JoinGroupResponse(error_code=error.code), version)


def _in_version(response: JoinGroupResponse, version: int) -> JoinGroupResponse:
    """No protocol is null in newer versions, and an empty string in older ones."""
    response.protocol_name = response.protocol_name or (None if version >= FIRST_VERSION_WITH_NULL_PROTOCOL else "")
    return response
