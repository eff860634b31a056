"""BrokerHeartbeat (63): a broker lives, wants to be unfenced, or to go (KIP-631, KIP-841)."""

from typing import TYPE_CHECKING, NamedTuple

from pykbroker.controller.cluster_control import check_broker_epoch
from pykbroker.controller.controller import Controller
from pykbroker.controller.result import ControllerResult
from pykbroker.metadata.features import allows_cordoned_directories, allows_directories
from pykbroker.metadata.image import BrokerRegistration, MetadataImage
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from pykbroker.request import RequestContext

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

FENCED = "fenced"
UNFENCED = "unfenced"
CONTROLLED_SHUTDOWN = "controlled shutdown"
SHUTDOWN_NOW = "shutdown now"


class _Heartbeat(NamedTuple):
    """What is known when one is decided (BrokerHeartbeatManager.calculateNextBrokerState)."""

    request: BrokerHeartbeatRequest
    registered_at: int
    leads: bool
    others_caught_up: bool


async def handle(
    controller: Controller, ctx: RequestContext, request: BrokerHeartbeatRequest
) -> BrokerHeartbeatResponse:
    now = controller.clock.monotonic()

    def decide(image: MetadataImage) -> ControllerResult[BrokerHeartbeatResponse]:
        broker = check_broker_epoch(image, request.broker_id, request.broker_epoch)
        heartbeat = _Heartbeat(
            request,
            controller.registration_offset(broker.id),
            controller.cluster.leads_anything(broker.id) if request.want_shut_down else False,
            controller.heartbeats.may_shut_down(broker.id, [b.id for b in image.brokers.values() if b.is_active]),
        )
        state = next_state(broker, heartbeat)
        records = _records(controller, image, broker, heartbeat, state)
        controller.heartbeats.touch(broker.id, broker.epoch, request.current_metadata_offset, now)
        if state == CONTROLLED_SHUTDOWN and not broker.in_controlled_shutdown:
            controller.heartbeats.begin_shutdown(broker.id, controller.next_offset + len(records) - 1)
        if state == SHUTDOWN_NOW:
            # Its session ends now, so that its next incarnation is not refused (Kafka lets it wait for the timeout).
            controller.heartbeats.remove(broker.id)
        return ControllerResult(records, _response(heartbeat, state))

    return await controller.execute(decide)


def next_state(broker: BrokerRegistration, heartbeat: _Heartbeat) -> str:
    """From the present state and what the broker wants."""
    request = heartbeat.request
    if broker.fenced:
        if request.want_shut_down:
            return SHUTDOWN_NOW
        caught_up = request.current_metadata_offset >= heartbeat.registered_at
        return UNFENCED if caught_up and not request.want_fence else FENCED
    if broker.in_controlled_shutdown:
        return SHUTDOWN_NOW if not heartbeat.leads and heartbeat.others_caught_up else CONTROLLED_SHUTDOWN
    if request.want_fence:
        return SHUTDOWN_NOW if request.want_shut_down else FENCED
    if request.want_shut_down:
        return CONTROLLED_SHUTDOWN if heartbeat.leads else SHUTDOWN_NOW
    return UNFENCED


def _records(
    controller: Controller, image: MetadataImage, broker: BrokerRegistration, heartbeat: _Heartbeat, state: str
) -> "list[Message]":
    cluster = controller.cluster
    records: list[Message] = []
    if state in (FENCED, SHUTDOWN_NOW) and not broker.fenced:
        records.extend(cluster.fence(broker))
    elif state == UNFENCED and broker.fenced:
        records.extend(cluster.unfence(broker))
    elif state == CONTROLLED_SHUTDOWN and not broker.in_controlled_shutdown:
        records.extend(cluster.begin_controlled_shutdown(broker))
    if allows_directories(image.features.metadata_version):
        records.extend(cluster.directories_offline(broker, heartbeat.request.offline_log_dirs))
    if allows_cordoned_directories(image.features.metadata_version):
        records.extend(cluster.cordon(broker, heartbeat.request.cordoned_log_dirs))
    return records


def _response(heartbeat: _Heartbeat, state: str) -> BrokerHeartbeatResponse:
    return BrokerHeartbeatResponse(
        is_caught_up=heartbeat.request.current_metadata_offset >= heartbeat.registered_at,
        is_fenced=state in (FENCED, SHUTDOWN_NOW),
        should_shut_down=state == SHUTDOWN_NOW,
    )
