"""UnregisterBroker (64): a broker that is gone for good leaves the cluster's metadata (KIP-500)."""

from pykbroker.controller.controller import Controller
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: UnregisterBrokerRequest
) -> UnregisterBrokerResponse:
    def decide(image: MetadataImage) -> ControllerResult[None]:
        return ControllerResult(controller.cluster.unregister(request.broker_id), None)

    await controller.execute(decide)
    controller.heartbeats.remove(request.broker_id)
    return UnregisterBrokerResponse()


def error_response(request: UnregisterBrokerRequest, error: KafkaError, version: int) -> UnregisterBrokerResponse:
    return UnregisterBrokerResponse(error_code=error.code, error_message=error.message)
