"""AllocateProducerIds (67): a block of producer ids for a broker (KIP-730)."""

from pykbroker.controller.controller import Controller
from pykbroker.controller.producer_id_control import allocate_producer_ids
from pykbroker.protocol.messages.allocate_producer_ids import AllocateProducerIdsRequest, AllocateProducerIdsResponse
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: AllocateProducerIdsRequest
) -> AllocateProducerIdsResponse:
    block = await controller.execute(
        lambda image: allocate_producer_ids(image, request.broker_id, request.broker_epoch)
    )
    return AllocateProducerIdsResponse(producer_id_start=block.first, producer_id_len=block.size)
