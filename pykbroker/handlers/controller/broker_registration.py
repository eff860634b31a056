"""BrokerRegistration (62): a broker starts, with a new incarnation (KIP-631, KIP-858)."""

from pykbroker.controller.controller import Controller
from pykbroker.controller.result import ControllerResult
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.messages.broker_registration import BrokerRegistrationRequest, BrokerRegistrationResponse
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: BrokerRegistrationRequest
) -> BrokerRegistrationResponse:
    now = controller.clock.monotonic()

    def decide(image: MetadataImage) -> ControllerResult[int]:
        existing = image.brokers.get(request.broker_id)
        has_session = existing is not None and controller.heartbeats.has_valid_session(existing.id, existing.epoch, now)
        records, epoch = controller.cluster.register(request, controller.next_offset, has_session=has_session)
        controller.registered(request.broker_id, controller.next_offset + len(records) - 1)
        return ControllerResult(records, epoch)

    return BrokerRegistrationResponse(broker_epoch=await controller.execute(decide))
