"""LeaveGroup (13): members leave, or are removed by an administrator. KIP-345, 800. Kafka: handleLeaveGroupRequest."""

from pykbroker.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from pykbroker.request import RequestContext, Services

FIRST_VERSION_WITH_MEMBERS = 3


async def handle(broker: Services, ctx: RequestContext, request: LeaveGroupRequest) -> LeaveGroupResponse:
    if ctx.api_version >= FIRST_VERSION_WITH_MEMBERS:
        return await broker.groups.leave_group(ctx, request)
    members = [MemberIdentity(member_id=request.member_id)]
    response = await broker.groups.leave_group(ctx, LeaveGroupRequest(group_id=request.group_id, members=members))
    # One member, so its error is that of the request.
    member_error = response.members[0].error_code if response.members else 0
    return LeaveGroupResponse(error_code=response.error_code or member_error)
