"""ControllerRegistration (70): another controller tells what it supports (KIP-919). This one is a quorum of its own."""

from pykbroker.controller.controller import Controller
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.controller_registration import (
    ControllerRegistrationRequest,
    ControllerRegistrationResponse,
)
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: ControllerRegistrationRequest
) -> ControllerRegistrationResponse:
    raise KafkaError(
        ErrorCode.UNSUPPORTED_VERSION,
        f"Controller {request.controller_id} cannot register: controller {controller.node_id} is a quorum of one",
    )


def error_response(
    request: ControllerRegistrationRequest, error: KafkaError, version: int
) -> ControllerRegistrationResponse:
    return ControllerRegistrationResponse(error_code=error.code, error_message=error.message)
