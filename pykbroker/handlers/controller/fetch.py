"""Fetch (1) on the controller's listener: brokers read the metadata log (KIP-595)."""

from pykbroker.controller.controller import Controller
from pykbroker.protocol.messages.fetch import FetchRequest, FetchResponse
from pykbroker.raft.metadata_fetch import fetch
from pykbroker.request import RequestContext


async def handle(controller: Controller, ctx: RequestContext, request: FetchRequest) -> FetchResponse:
    """Waits up to max.wait for something to be committed."""
    state, clock = controller.leader_state, controller.clock
    leader = state.leader(ctx.listener_name, (ctx.local_host, ctx.local_port))
    deadline = clock.monotonic() + request.max_wait_ms / 1000
    while True:
        answer = fetch(state, leader, request, ctx.api_version, clock.wall_ms())
        if not answer.may_wait or clock.monotonic() >= deadline:
            return answer.response
        pending = state.wait()
        try:
            if not await pending.wait_until(deadline):
                return answer.response
        finally:
            state.forget(pending)
