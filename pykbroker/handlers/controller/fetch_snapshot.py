"""FetchSnapshot (59): brokers that are new, or far behind, load a snapshot of the metadata (KIP-630)."""

from pykbroker.controller.controller import Controller
from pykbroker.protocol.messages.fetch_snapshot import FetchSnapshotRequest, FetchSnapshotResponse
from pykbroker.raft.snapshot_fetch import fetch_snapshot
from pykbroker.request import RequestContext


async def handle(controller: Controller, ctx: RequestContext, request: FetchSnapshotRequest) -> FetchSnapshotResponse:
    leader = controller.leader_state.leader(ctx.listener_name, (ctx.local_host, ctx.local_port))
    return fetch_snapshot(controller.leader_state, leader, request, ctx.api_version)
